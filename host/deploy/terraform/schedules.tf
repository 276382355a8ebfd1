# When Secrets Manager rotates.

resource "aws_secretsmanager_secret_rotation" "this" {
  for_each = local.rotations

  secret_id           = aws_secretsmanager_secret.this[each.key].id
  rotation_lambda_arn = aws_lambda_function.rotation.arn
  # A schedule that is set or changed must not rotate by surprise: the function is only tried.
  rotate_immediately = false

  rotation_rules {
    automatically_after_days = each.value.days
    schedule_expression      = each.value.schedule
    duration                 = each.value.window
  }

  # The function is tried at once, so it has to know by then how.
  depends_on = [aws_lambda_permission.secrets_manager, aws_secretsmanager_tag.this]
}
