# What several files need: names, the account, and which secrets have which schedule in this environment.

data "aws_caller_identity" "current" {}

data "aws_partition" "current" {}

data "aws_region" "current" {}

locals {
  name_prefix   = "${var.name}-${var.environment}"
  function_name = "${local.name_prefix}-secrets-rotation"
  secret_names  = { for kind, secret in var.secrets : kind => coalesce(secret.name, "${local.name_prefix}/${kind}") }
  secret_arns   = values(aws_secretsmanager_secret.this)[*].arn

  # Made from its parts, because the role's policy has to be there before the function is.
  function_arn = join(":", [
    "arn", data.aws_partition.current.partition, "lambda", data.aws_region.current.region,
    data.aws_caller_identity.current.account_id, "function", local.function_name,
  ])

  # An operator brings these values; a rotation of theirs waits, which is neither a schedule's business nor an alarm's.
  assisted = [
    for kind, secret in var.secrets : kind
    if can(regex("^stripe$|-assisted$", coalesce(secret.plugin, reverse(split("/", local.secret_names[kind]))[0])))
  ]
  unassisted_arns = [for kind, secret in aws_secretsmanager_secret.this : secret.arn if !contains(local.assisted, kind)]

  rotations = {
    for kind, secret in var.secrets : kind => secret.rotation[var.environment]
    if var.schedules_enabled && try(secret.rotation[var.environment].days != 0, false)
  }
}
