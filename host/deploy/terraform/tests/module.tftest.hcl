# What the module promises, without an account: `terraform test`.

mock_provider "aws" {
  mock_data "aws_caller_identity" {
    defaults = { account_id = "123456789012" }
  }
  mock_data "aws_partition" {
    defaults = { partition = "aws", dns_suffix = "amazonaws.com" }
  }
  mock_data "aws_region" {
    defaults = { region = "eu-west-1" }
  }
}

variables {
  name        = "festival"
  environment = "prod"
  package     = "main.tf"
}

run "nothing_happens_by_itself_before_it_is_said" {
  assert {
    condition     = length(aws_secretsmanager_secret_rotation.this) == 0
    error_message = "a secret without a value got a schedule"
  }
  assert {
    condition     = toset([for rule in aws_cloudwatch_event_rule.job : rule.state]) == toset(["DISABLED"])
    error_message = "the function is invoked on secrets without a value"
  }
  assert {
    condition = toset([for secret in aws_secretsmanager_secret.this : secret.name]) == toset([
      "festival-prod/api-keys", "festival-prod/database", "festival-prod/jwt", "festival-prod/redis",
      "festival-prod/stripe",
    ])
    error_message = "a secret is not called after its environment and kind"
  }
}

run "production_rotates_what_no_operator_brings" {
  variables {
    schedules_enabled = true
  }
  assert {
    condition = {
      for kind, rotation in aws_secretsmanager_secret_rotation.this :
      kind => rotation.rotation_rules[0].automatically_after_days
    } == { api-keys = 180, database = 30, jwt = 90, redis = 60 }
    error_message = "the schedules of production differ"
  }
  assert {
    condition     = !anytrue([for rotation in aws_secretsmanager_secret_rotation.this : rotation.rotate_immediately])
    error_message = "setting a schedule would rotate at once"
  }
  assert {
    condition     = aws_cloudwatch_metric_alarm.time_since_rotation["database"].threshold == 33 * 86400
    error_message = "the alarm on a missing rotation is not a tenth later than the rotation"
  }
}

run "development_has_no_schedule" {
  variables {
    environment       = "dev"
    schedules_enabled = true
  }
  assert {
    condition     = length(aws_secretsmanager_secret_rotation.this) == 0
    error_message = "0 days became a schedule"
  }
}

run "a_schedule_takes_the_place_of_days" {
  variables {
    schedules_enabled = true
    secrets = {
      database = {
        rotation = { prod = { schedule = "cron(0 2 ? * SUN#1 *)", window = "1h", overdue_after_days = 37 } }
      }
    }
  }
  assert {
    condition     = aws_secretsmanager_secret_rotation.this["database"].rotation_rules[0].schedule_expression != null
    error_message = "the schedule is lost"
  }
  assert {
    condition = (
      aws_secretsmanager_secret_rotation.this["database"].rotation_rules[0].automatically_after_days == null
    )
    error_message = "days beside a schedule"
  }
}

run "days_and_schedule_exclude_each_other" {
  command = plan
  variables {
    secrets = {
      database = { rotation = { prod = { days = 30, schedule = "rate(30 days)", overdue_after_days = 33 } } }
    }
  }
  expect_failures = [var.secrets]
}

run "minutes_are_refused" {
  command = plan
  variables {
    secrets = {
      database = { rotation = { prod = { schedule = "cron(30 2 * * ? *)", overdue_after_days = 2 } } }
    }
  }
  expect_failures = [var.secrets]
}

run "an_assisted_secret_has_no_schedule" {
  command = plan
  variables {
    secrets = {
      sendgrid = { plugin = "vendor-assisted", rotation = { prod = { days = 30 } } }
    }
  }
  expect_failures = [aws_secretsmanager_secret.this["sendgrid"]]
}

run "a_secret_that_was_there_keeps_its_name" {
  variables {
    secrets = {
      database = { name = "Orders/Postgres", plugin = "postgres", strategy = "single" }
    }
  }
  assert {
    condition     = aws_secretsmanager_secret.this["database"].name == "Orders/Postgres"
    error_message = "the secret got another name"
  }
  assert {
    condition = { for name, tag in aws_secretsmanager_tag.this : tag.key => tag.value } == {
      "keyturn:environment" = "prod", "keyturn:plugin" = "postgres", "keyturn:strategy" = "single"
    }
    error_message = "the tags do not say what the name cannot"
  }
}

run "rights_come_with_what_needs_them" {
  assert {
    condition = toset(jsondecode(aws_iam_role_policy.rotation.policy).Statement[*].Sid) == toset([
      "Keys", "Log", "Notes", "Notify", "Rotate"
    ])
    error_message = "the role may do more or less than a function without VPC, companions and ElastiCache needs"
  }
  assert {
    condition = alltrue([
      for statement in jsondecode(aws_iam_role_policy.rotation.policy).Statement :
      !contains(flatten([statement.Resource]), "*")
    ])
    error_message = "a right on everything"
  }
}

run "rights_for_vpc_companions_and_elasticache" {
  variables {
    notes_enabled         = false
    companion_secret_arns = ["arn:aws:secretsmanager:eu-west-1:123456789012:secret:admin-AbCdEf"]
    vpc = {
      vpc_id     = "vpc-1"
      subnet_ids = ["subnet-1"]
      targets    = { database = { security_group_id = "sg-1", port = 5432 } }
    }
    secrets = {
      redis = {
        strategy        = "elasticache-user"
        elasticache_arn = "arn:aws:elasticache:eu-west-1:123456789012:user:festival"
      }
    }
  }
  assert {
    condition = toset(jsondecode(aws_iam_role_policy.rotation.policy).Statement[*].Sid) == toset([
      "Companions", "ElastiCacheUsers", "Interfaces", "InterfacesNotByCode", "Keys", "Log", "Notify", "Rotate"
    ])
    error_message = "the role's rights do not follow the configuration"
  }
  assert {
    condition     = aws_vpc_security_group_ingress_rule.target["database"].from_port == 5432
    error_message = "the database does not let the function in"
  }
}

run "assisted_secrets_raise_no_alarm" {
  variables {
    schedules_enabled = true
  }
  assert {
    condition     = !contains(local.unassisted_arns, aws_secretsmanager_secret.this["stripe"].arn)
    error_message = "the assisted secret is taken for one that is not"
  }
  assert {
    condition = toset(local.unassisted_arns) == toset(
      jsondecode(aws_cloudwatch_event_rule.failure["rotation"].event_pattern).detail.additionalEventData.SecretId
    )
    error_message = "the rule on failed rotations hears of the assisted secret, or does not hear of another"
  }
  assert {
    condition     = !contains(keys(aws_cloudwatch_metric_alarm.time_since_rotation), "stripe")
    error_message = "an assisted secret can be overdue"
  }
}
