# The secrets, without a value: one that Terraform wrote would stand in its state, and be written again over every
# rotation.

resource "aws_secretsmanager_secret" "this" {
  for_each = var.secrets

  name                    = "${local.name_prefix}/${each.key}"
  description             = each.value.description
  kms_key_id              = aws_kms_key.secrets.arn
  recovery_window_in_days = 30

  lifecycle {
    # Keyturn keeps its notes in tags of the secret; without them no old value is retired in time.
    ignore_changes = [tags]

    precondition {
      condition     = length(each.value.rotation) == 0 || !contains(local.assisted, each.key)
      error_message = "An operator brings the value of ${each.key}, so it has no schedule: leave its rotation out."
    }
  }
}

locals {
  # One by one, so that the notes beside them stay.
  tags = merge([
    for kind, secret in var.secrets : {
      for tag in ["plugin", "strategy"] : "${kind}:${tag}" => {
        kind  = kind
        key   = "keyturn:${tag}"
        value = secret[tag]
      } if secret[tag] != null
    }
  ]...)
}

resource "aws_secretsmanager_tag" "this" {
  for_each = local.tags

  secret_id = aws_secretsmanager_secret.this[each.value.kind].id
  key       = each.value.key
  value     = each.value.value
}
