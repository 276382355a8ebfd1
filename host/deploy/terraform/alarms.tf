# The alarms. A rotation that waits for its operator is none of them: it is an answer of the function like an error, so
# its count is taken off, it is not pending, and assisted secrets have no schedule to be late for.

locals {
  # The type of that answer, in the last line of an invocation.
  waiting = "Keyturn.WaitingForOperator"

  overdue_after_days = {
    for kind, rotation in local.rotations : kind =>
    rotation.overdue_after_days != null ? rotation.overdue_after_days : ceil(rotation.days * 1.1)
  }
}

resource "aws_cloudwatch_log_metric_filter" "waiting" {
  name           = "${local.function_name}-waiting-for-operator"
  log_group_name = aws_cloudwatch_log_group.rotation.name
  pattern        = "{ ($.error_type = \"${local.waiting}\") && ($.duration_ms >= 0) }"

  metric_transformation {
    name      = "WaitingForOperator"
    namespace = var.metric_namespace
    value     = "1"
    # A series that begins with the first wait would leave nothing to subtract before.
    default_value = "0"
  }
}

resource "aws_cloudwatch_metric_alarm" "rotation_errors" {
  alarm_name          = "${local.name_prefix}-rotation-errors"
  alarm_description   = "The rotation function failed. Its log group is ${aws_cloudwatch_log_group.rotation.name}."
  comparison_operator = "GreaterThanThreshold"
  threshold           = 0
  evaluation_periods  = 1
  treat_missing_data  = "notBreaching"
  alarm_actions       = [aws_sns_topic.this["rotation"].arn]
  ok_actions          = [aws_sns_topic.this["rotation"].arn]

  metric_query {
    id          = "failed"
    label       = "Errors that are not a wait for an operator"
    expression  = "errors - FILL(waiting, 0)"
    return_data = true
  }

  metric_query {
    id = "errors"

    metric {
      namespace   = "AWS/Lambda"
      metric_name = "Errors"
      dimensions  = { FunctionName = aws_lambda_function.rotation.function_name }
      period      = 300
      stat        = "Sum"
    }
  }

  metric_query {
    id = "waiting"

    metric {
      namespace   = var.metric_namespace
      metric_name = aws_cloudwatch_log_metric_filter.waiting.metric_transformation[0].name
      period      = 300
      stat        = "Sum"
    }
  }
}

resource "aws_cloudwatch_metric_alarm" "rotation_duration" {
  alarm_name          = "${local.name_prefix}-rotation-duration"
  alarm_description   = "A step of a rotation takes more than two minutes of its five."
  namespace           = "AWS/Lambda"
  metric_name         = "Duration"
  dimensions          = { FunctionName = aws_lambda_function.rotation.function_name }
  statistic           = "Maximum"
  period              = 300
  comparison_operator = "GreaterThanThreshold"
  threshold           = 120000
  evaluation_periods  = 1
  treat_missing_data  = "notBreaching"
  alarm_actions       = [aws_sns_topic.this["rotation"].arn]
}

resource "aws_cloudwatch_metric_alarm" "pending_rotation" {
  alarm_name          = "${local.name_prefix}-pending-rotation"
  alarm_description   = "A rotation has been under way for half an hour."
  namespace           = var.metric_namespace
  metric_name         = "PendingRotation"
  statistic           = "Maximum"
  period              = 300
  comparison_operator = "GreaterThanThreshold"
  threshold           = 0
  evaluation_periods  = 6
  treat_missing_data  = "notBreaching"
  alarm_actions       = [aws_sns_topic.this["rotation"].arn]
}

# Failures are told above, but only this one sees that nothing happens at all, be it that the health check is silent.
resource "aws_cloudwatch_metric_alarm" "time_since_rotation" {
  for_each = local.rotations

  alarm_name          = "${local.name_prefix}-${replace(each.key, "/", "-")}-overdue"
  alarm_description   = "${aws_secretsmanager_secret.this[each.key].name} has not been rotated in time."
  namespace           = var.metric_namespace
  metric_name         = "TimeSinceRotation"
  dimensions          = { SecretName = aws_secretsmanager_secret.this[each.key].name, Environment = var.environment }
  statistic           = "Maximum"
  period              = 3600
  comparison_operator = "GreaterThanThreshold"
  threshold           = 86400 * local.overdue_after_days[each.key]
  evaluation_periods  = 3
  treat_missing_data  = "breaching"
  alarm_actions       = [aws_sns_topic.this["rotation"].arn]
  ok_actions          = [aws_sns_topic.this["rotation"].arn]
}
