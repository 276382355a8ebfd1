# A production environment: its secrets with schedules on Sundays, a database and a Redis that the function reaches in a
# VPC, the database's rotation admin, and somebody who is told.

terraform {
  required_version = ">= 1.9"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 6.28"
    }
  }
}

provider "aws" {
  region = var.region
}

module "keyturn" {
  source = "../.."

  name              = "festival"
  environment       = "prod"
  package           = var.package
  schedules_enabled = var.schedules_enabled

  secrets = {
    database = {
      description = "PostgreSQL user of the application"
      rotation = {
        prod = { schedule = "cron(0 2 ? * SUN#1 *)", window = "1h", overdue_after_days = 37 }
      }
    }
    jwt = {
      description = "Keys that sign JSON Web Tokens"
      rotation = {
        prod = { schedule = "cron(0 3 ? JAN,APR,JUL,OCT SUN#1 *)", window = "1h", overdue_after_days = 100 }
      }
    }
    redis = {
      description = "Redis user of the application"
      rotation = {
        prod = { schedule = "cron(0 4 ? 1/2 SUN#1 *)", window = "1h", overdue_after_days = 70 }
      }
    }
    api-keys = {
      description = "Internal API key"
      rotation = {
        prod = { schedule = "cron(0 5 ? JAN,JUL SUN#1 *)", window = "1h", overdue_after_days = 195 }
      }
    }
    webhook-signing = {
      description = "Signs webhooks"
      plugin      = "opaque"
      rotation    = { prod = { days = 90 } }
    }
    stripe = {
      description = "Stripe key; an operator makes the next one"
    }
  }

  companion_secret_arns = [aws_secretsmanager_secret.database_admin.arn]

  vpc = {
    vpc_id     = var.vpc_id
    subnet_ids = var.subnet_ids
    targets = {
      database = { security_group_id = var.database_security_group_id, port = 5432 }
      redis    = { security_group_id = var.redis_security_group_id, port = 6379 }
    }
  }
}

# What `masterarn` of the database's secret names. Nothing rotates it here.
resource "aws_secretsmanager_secret" "database_admin" {
  name        = "festival-prod/database-admin"
  description = "PostgreSQL role that changes the application's passwords"
  kms_key_id  = module.keyturn.kms_key_arn
}

resource "aws_sns_topic_subscription" "mail" {
  for_each = module.keyturn.topic_arns

  topic_arn = each.value
  protocol  = "email"
  endpoint  = var.mail
}
