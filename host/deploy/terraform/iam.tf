# What the function may do. SECURITY.md says what each right is for.

resource "aws_iam_role" "rotation" {
  name        = local.function_name
  description = "Keyturn's rotation function"

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Action    = "sts:AssumeRole"
      Principal = { Service = "lambda.amazonaws.com" }
    }]
  })
}

locals {
  elasticache_arns   = compact(values(var.secrets)[*].elasticache_arn)
  elasticache_users  = [for arn in local.elasticache_arns : arn if strcontains(arn, ":user:")]
  elasticache_groups = [for arn in local.elasticache_arns : arn if strcontains(arn, ":replicationgroup:")]

  # By their Sid; null where nothing configured needs it.
  statements = {
    Log = {
      Effect   = "Allow"
      Action   = ["logs:CreateLogStream", "logs:PutLogEvents"]
      Resource = "${aws_cloudwatch_log_group.rotation.arn}:*"
    }

    Rotate = {
      Effect = "Allow"
      Action = [
        "secretsmanager:DescribeSecret",
        "secretsmanager:GetSecretValue",
        "secretsmanager:ListSecretVersionIds",
        "secretsmanager:PutSecretValue",
        "secretsmanager:UpdateSecretVersionStage",
      ]
      Resource = local.secret_arns
    }

    # The tags that choose plugin and strategy are not the function's to change.
    Notes = !var.notes_enabled ? null : {
      Effect    = "Allow"
      Action    = ["secretsmanager:TagResource", "secretsmanager:UntagResource"]
      Resource  = local.secret_arns
      Condition = { "ForAllValues:StringLike" = { "aws:TagKeys" = ["keyturn:notes*"] } }
    }

    Companions = length(var.companion_secret_arns) == 0 ? null : {
      Effect   = "Allow"
      Action   = ["secretsmanager:DescribeSecret", "secretsmanager:GetSecretValue"]
      Resource = var.companion_secret_arns
    }

    Keys = {
      Effect   = "Allow"
      Action   = ["kms:Decrypt", "kms:GenerateDataKey"]
      Resource = concat([aws_kms_key.secrets.arn], var.kms_key_arns)
      Condition = {
        StringEquals = {
          "kms:ViaService" = "secretsmanager.${data.aws_region.current.region}.${data.aws_partition.current.dns_suffix}"
        }
      }
    }

    Notify = {
      Effect   = "Allow"
      Action   = "sns:Publish"
      Resource = values(aws_sns_topic.this)[*].arn
    }

    # Those of AWSLambdaVPCAccessExecutionRole. Lambda makes the calls in the function's name, for interfaces that
    # nobody knows beforehand; the function's own code has no business there.
    Interfaces = var.vpc == null ? null : {
      Effect = "Allow"
      Action = [
        "ec2:AssignPrivateIpAddresses",
        "ec2:CreateNetworkInterface",
        "ec2:DeleteNetworkInterface",
        "ec2:DescribeNetworkInterfaces",
        "ec2:DescribeSubnets",
        "ec2:UnassignPrivateIpAddresses",
      ]
      Resource = "*"
    }

    InterfacesNotByCode = var.vpc == null ? null : {
      Effect    = "Deny"
      Action    = "ec2:*"
      Resource  = "*"
      Condition = { ArnEquals = { "lambda:SourceFunctionArn" = local.function_arn } }
    }

    ElastiCacheUsers = length(local.elasticache_users) == 0 ? null : {
      Effect   = "Allow"
      Action   = ["elasticache:DescribeUsers", "elasticache:ModifyUser"]
      Resource = local.elasticache_users
    }

    ElastiCacheGroups = length(local.elasticache_groups) == 0 ? null : {
      Effect   = "Allow"
      Action   = ["elasticache:DescribeReplicationGroups", "elasticache:ModifyReplicationGroup"]
      Resource = local.elasticache_groups
    }
  }
}

resource "aws_iam_role_policy" "rotation" {
  name = "rotation"
  role = aws_iam_role.rotation.id

  policy = jsonencode({
    Version   = "2012-10-17"
    Statement = [for sid, statement in local.statements : merge({ Sid = sid }, statement) if statement != null]
  })
}
