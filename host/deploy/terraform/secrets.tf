# The secrets, without a value: one that Terraform wrote would stand in its state, and be written again over every
# rotation.

resource "aws_secretsmanager_secret" "this" {
  for_each = var.secrets

  name                    = local.secret_names[each.key]
  description             = each.value.description
  kms_key_id              = aws_kms_key.secrets.arn
  recovery_window_in_days = 30

  lifecycle {
    # Keyturn keeps its notes in tags of the secret; without them no old value is retired in time. A secret that was
    # there before keeps its key: whoever reads it may have no right on another one.
    ignore_changes = [tags, kms_key_id]

    precondition {
      condition     = length(each.value.rotation) == 0 || !contains(local.assisted, each.key)
      error_message = "An operator brings the value of ${each.key}, so it has no schedule: leave its rotation out."
    }
  }
}

locals {
  # What Keyturn asks the tags of a secret. One by one, so that the notes beside them stay.
  tags = merge([
    for kind, secret in var.secrets : {
      for tag, value in {
        environment = var.environment
        plugin      = secret.plugin
        strategy    = secret.strategy
      } : "${kind}:${tag}" => { kind = kind, key = "keyturn:${tag}", value = value } if value != null
    }
  ]...)
}

resource "aws_secretsmanager_tag" "this" {
  for_each = local.tags

  secret_id = aws_secretsmanager_secret.this[each.value.kind].id
  key       = each.value.key
  value     = each.value.value
}
