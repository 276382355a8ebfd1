output "kms_key_arn" {
  description = "The key of the secrets, for whoever reads them."
  value       = aws_kms_key.secrets.arn
}

output "secret_arns" {
  description = "The secrets' ARNs by kind."
  value       = { for kind in keys(var.secrets) : kind => aws_secretsmanager_secret.this[kind].arn }
}

output "function_name" {
  description = "The rotation function."
  value       = aws_lambda_function.rotation.function_name
}

output "log_group_name" {
  description = "The function's log."
  value       = aws_cloudwatch_log_group.rotation.name
}

output "security_group_id" {
  description = "The function's security group; null without a VPC."
  value       = one(aws_security_group.rotation[*].id)
}

output "topic_arns" {
  description = "The topics to subscribe to: rotation, security-emergency."
  value       = { for name in local.topics : name => aws_sns_topic.this[name].arn }
}
