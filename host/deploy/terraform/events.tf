# What EventBridge does: it invokes the function by the clock, and tells people of rotations that failed.

locals {
  # ARNs are always listed, so that the role need not list the account's secrets.
  jobs = {
    health-report = {
      description = "Daily report on the secrets"
      schedule    = "cron(0 8 * * ? *)"
      input       = { action = "health_check", report = true, secrets = local.secret_arns }
    }
    health-check = {
      description = "Feeds the metrics on pending rotations and on the time since the last one"
      schedule    = "rate(5 minutes)"
      input       = { action = "health_check", report = false, secrets = local.secret_arns }
    }
    retire-due = {
      description = "Ends old values whose grace is over, and puts announced ones into use"
      schedule    = "rate(1 hour)"
      input       = { action = "retire_due", secrets = local.secret_arns }
    }
  }

  # TestRotationFailed is what becomes of a schedule whose function doesn't work. A rotation is abandoned when somebody
  # writes a value by hand meanwhile, which may have been nobody of yours.
  failures = {
    rotation           = ["RotationFailed", "TestRotationFailed", "RotationAbandoned"]
    security-emergency = ["RotationAbandoned"]
  }
}

resource "aws_cloudwatch_event_rule" "job" {
  for_each = local.jobs

  name                = "${local.function_name}-${each.key}"
  description         = each.value.description
  schedule_expression = each.value.schedule
  # A secret without a value would fail each time.
  state = var.schedules_enabled ? "ENABLED" : "DISABLED"
}

resource "aws_cloudwatch_event_target" "job" {
  for_each = local.jobs

  rule  = aws_cloudwatch_event_rule.job[each.key].name
  arn   = aws_lambda_function.rotation.arn
  input = jsonencode(each.value.input)
}

resource "aws_lambda_permission" "job" {
  for_each = local.jobs

  statement_id  = each.key
  action        = "lambda:InvokeFunction"
  function_name = aws_lambda_function.rotation.function_name
  principal     = "events.amazonaws.com"
  source_arn    = aws_cloudwatch_event_rule.job[each.key].arn
}

resource "aws_cloudwatch_event_rule" "failure" {
  # EventBridge takes no empty list of ids.
  for_each = { for name, events in local.failures : name => events if length(local.unassisted_arns) > 0 }

  name        = "${local.function_name}-failure-${each.key}"
  description = "Rotations that failed or were abandoned"

  event_pattern = jsonencode({
    source = ["aws.secretsmanager"]
    # The service's own events come under either.
    detail-type = ["AWS Service Event via CloudTrail", "AWS API Call via CloudTrail"]
    detail = {
      eventSource = ["secretsmanager.amazonaws.com"]
      eventName   = each.value
      # One that waits for its operator ends as RotationFailed, too.
      additionalEventData = { SecretId = local.unassisted_arns }
    }
  })
}

resource "aws_cloudwatch_event_target" "failure" {
  for_each = aws_cloudwatch_event_rule.failure

  rule = aws_cloudwatch_event_rule.failure[each.key].name
  arn  = aws_sns_topic.this[each.key].arn

  input_transformer {
    input_paths = {
      event  = "$.detail.eventName"
      secret = "$.detail.additionalEventData.SecretId"
      time   = "$.time"
    }
    input_template = "\"<event> of <secret> at <time>. The log ${aws_cloudwatch_log_group.rotation.name} says why.\""
  }
}
