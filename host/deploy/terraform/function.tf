# The rotation function, its log, its place in a VPC, and who may invoke it.

resource "aws_cloudwatch_log_group" "rotation" {
  name              = "/aws/lambda/${local.function_name}"
  retention_in_days = var.log_retention_days
}

resource "aws_lambda_function" "rotation" {
  function_name = local.function_name
  description   = "Keyturn: rotates the secrets of ${local.name_prefix}"
  role          = aws_iam_role.rotation.arn

  filename         = var.package
  source_code_hash = filebase64sha256(var.package)
  runtime          = "provided.al2023"
  handler          = "bootstrap"
  architectures    = [var.architecture]

  timeout = 300
  # Lambda gives CPU by memory.
  memory_size = 512

  environment {
    variables = merge(
      var.environment_variables,
      {
        ENVIRONMENT        = var.environment
        SNS_TOPIC_ARN      = aws_sns_topic.this["rotation"].arn
        SECURITY_TOPIC_ARN = aws_sns_topic.this["security-emergency"].arn
        METRIC_NAMESPACE   = var.metric_namespace
      },
      var.slack_webhook_url == null ? {} : { SLACK_WEBHOOK_URL = var.slack_webhook_url },
    )
  }

  dynamic "vpc_config" {
    for_each = var.vpc == null ? [] : [var.vpc]

    content {
      subnet_ids         = vpc_config.value.subnet_ids
      security_group_ids = [aws_security_group.rotation[0].id]
    }
  }

  # Lambda makes the log group itself if it comes first, and looks for the rights on interfaces before it takes a VPC.
  depends_on = [aws_cloudwatch_log_group.rotation, aws_iam_role_policy.rotation]
}

resource "aws_lambda_permission" "secrets_manager" {
  statement_id   = "SecretsManager"
  action         = "lambda:InvokeFunction"
  function_name  = aws_lambda_function.rotation.function_name
  principal      = "secretsmanager.amazonaws.com"
  source_account = data.aws_caller_identity.current.account_id
}

resource "aws_security_group" "rotation" {
  count = var.vpc == null ? 0 : 1

  name        = local.function_name
  description = "Keyturn's rotation function: nothing comes in"
  vpc_id      = var.vpc.vpc_id
}

resource "aws_vpc_security_group_egress_rule" "https" {
  count = var.vpc == null ? 0 : 1

  security_group_id = aws_security_group.rotation[0].id
  description       = "AWS and vendors' APIs"
  cidr_ipv4         = "0.0.0.0/0"
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
}

resource "aws_vpc_security_group_egress_rule" "target" {
  for_each = var.vpc == null ? {} : var.vpc.targets

  security_group_id            = aws_security_group.rotation[0].id
  description                  = "To ${each.key}"
  referenced_security_group_id = each.value.security_group_id
  ip_protocol                  = "tcp"
  from_port                    = each.value.port
  to_port                      = each.value.port
}

resource "aws_vpc_security_group_ingress_rule" "target" {
  for_each = var.vpc == null ? {} : var.vpc.targets

  security_group_id            = each.value.security_group_id
  description                  = "Rotation of ${each.key} by ${local.function_name}"
  referenced_security_group_id = aws_security_group.rotation[0].id
  ip_protocol                  = "tcp"
  from_port                    = each.value.port
  to_port                      = each.value.port
}
