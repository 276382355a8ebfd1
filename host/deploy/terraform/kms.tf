# The key that encrypts the secrets. Who may use it is said by IAM policies, as the default key policy has it.

resource "aws_kms_key" "secrets" {
  description             = "Secrets of ${local.name_prefix}"
  deletion_window_in_days = 30
  enable_key_rotation     = true
  rotation_period_in_days = 365
}

resource "aws_kms_alias" "secrets" {
  name          = "alias/${local.name_prefix}-secrets"
  target_key_id = aws_kms_key.secrets.key_id
}
