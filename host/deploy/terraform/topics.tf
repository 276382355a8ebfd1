# Where people subscribe. No message holds a secret.

locals {
  topics = toset(["rotation", "security-emergency"])
}

resource "aws_sns_topic" "this" {
  for_each = local.topics

  name = "${local.name_prefix}-${each.key}"
}

resource "aws_sns_topic_policy" "this" {
  for_each = local.topics

  arn = aws_sns_topic.this[each.key].arn
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid       = "Alarms"
        Effect    = "Allow"
        Action    = "sns:Publish"
        Resource  = aws_sns_topic.this[each.key].arn
        Principal = { Service = "cloudwatch.amazonaws.com" }
        Condition = { StringEquals = { "aws:SourceAccount" = data.aws_caller_identity.current.account_id } }
      },
      {
        # EventBridge knows no conditions here.
        Sid       = "Events"
        Effect    = "Allow"
        Action    = "sns:Publish"
        Resource  = aws_sns_topic.this[each.key].arn
        Principal = { Service = "events.amazonaws.com" }
      },
    ]
  })
}
