variable "name" {
  description = "The application's name. Secrets are called NAME-ENVIRONMENT/KIND; all else begins like that."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{0,30}$", var.name))
    error_message = "At most 31 lower-case letters, digits and hyphens, beginning with a letter."
  }
}

variable "environment" {
  description = "prod, staging, dev, …"
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9]{0,15}$", var.environment))
    error_message = "At most 16 lower-case letters and digits; no hyphen, for it is what follows the last one."
  }
}

variable "secrets" {
  description = <<-EOT
    The secrets by their kind, the last part of their name. Values are never given here: put them in afterwards.

    name          of a secret that was there before; left out: NAME-ENVIRONMENT/KIND
    plugin        which plugin rotates it; left out: what the name's last part says (database, jwt, redis, api-keys,
                  stripe)
    strategy      one of the plugin's; left out: its first
    rotation      by environment: `days` (0 or no entry: no schedule), or a `schedule`, rate() or cron() in UTC; and a
                  `window` such as "3h". There is an alarm `overdue_after_days` without a rotation; left out: a tenth
                  more than `days`
    elasticache_arn   the user or the replication group that an ElastiCache strategy changes
  EOT

  type = map(object({
    description     = optional(string, "")
    name            = optional(string)
    plugin          = optional(string)
    strategy        = optional(string)
    elasticache_arn = optional(string)
    rotation = optional(map(object({
      days               = optional(number)
      schedule           = optional(string)
      window             = optional(string)
      overdue_after_days = optional(number)
    })), {})
  }))

  default = {
    database = {
      description = "PostgreSQL user of the application"
      rotation    = { prod = { days = 30 }, staging = { days = 7 }, dev = { days = 0 } }
    }
    jwt = {
      description = "Keys that sign JSON Web Tokens"
      rotation    = { prod = { days = 90 }, staging = { days = 30 }, dev = { days = 0 } }
    }
    redis = {
      description = "Redis user of the application"
      rotation    = { prod = { days = 60 }, staging = { days = 14 }, dev = { days = 0 } }
    }
    api-keys = {
      description = "Internal API key"
      rotation    = { prod = { days = 180 }, staging = { days = 60 }, dev = { days = 0 } }
    }
    stripe = {
      description = "Stripe key; an operator makes the next one"
    }
  }

  validation {
    condition = alltrue([
      for kind in keys(var.secrets) : can(regex("^[A-Za-z0-9_+=.@-]+(/[A-Za-z0-9_+=.@-]+)*$", kind))
    ])
    error_message = "A kind has letters, digits and _+=.@- only, with a slash between its parts."
  }

  validation {
    condition = alltrue(flatten([
      for secret in values(var.secrets) : [
        for rotation in values(secret.rotation) : (rotation.days == null) != (rotation.schedule == null)
      ]
    ]))
    error_message = "A rotation has either days or a schedule: Secrets Manager takes one of them, and refuses both."
  }

  validation {
    condition = alltrue(flatten([
      for secret in values(var.secrets) : [
        for rotation in values(secret.rotation) : rotation.days == null ? true : (
          rotation.days >= 0 && rotation.days <= 1000 && floor(rotation.days) == rotation.days
        )
      ]
    ]))
    error_message = "days is a whole number up to 1000; 0 means no schedule."
  }

  validation {
    condition = alltrue(flatten([
      for secret in values(var.secrets) : [
        for rotation in values(secret.rotation) : rotation.schedule == null ? true : can(regex(
          "^(rate\\([1-9][0-9]* (hours?|days?)\\)|cron\\(0( [^ ]+){4} \\*\\))$", rotation.schedule
        ))
      ]
    ]))
    error_message = "A schedule is rate(N days), rate(N hours) or cron(0 HOUR DAY MONTH WEEKDAY *)."
  }

  validation {
    condition = alltrue(flatten([
      for secret in values(var.secrets) : [
        for rotation in values(secret.rotation) : rotation.schedule == null || rotation.overdue_after_days != null
      ]
    ]))
    error_message = "A schedule needs overdue_after_days: after how many days without a rotation there is an alarm."
  }

  validation {
    condition = alltrue(flatten([
      for secret in values(var.secrets) : [
        for rotation in values(secret.rotation) :
        rotation.window == null ? true : can(regex("^[1-9][0-9]?h$", rotation.window))
      ]
    ]))
    error_message = "A window is a number of hours, such as \"3h\"."
  }

  validation {
    condition = alltrue([
      for secret in values(var.secrets) : secret.elasticache_arn == null ? true : can(regex(
        "^arn:[^:]+:elasticache:[^:]+:[0-9]{12}:(user|replicationgroup):[^:*]+$", secret.elasticache_arn
      ))
    ])
    error_message = "elasticache_arn is the ARN of one user or one replication group."
  }
}

variable "schedules_enabled" {
  description = "Let Secrets Manager and EventBridge invoke the function by the clock, which takes secrets with values."
  type        = bool
  default     = false
}

variable "package" {
  description = "The file bootstrap.zip that `make lambda` builds."
  type        = string
}

variable "architecture" {
  description = "What `package` was built for."
  type        = string
  default     = "x86_64"

  validation {
    condition     = contains(["x86_64", "arm64"], var.architecture)
    error_message = "x86_64 or arm64."
  }
}

variable "environment_variables" {
  description = "Further variables of the function, such as PASSWORD_LENGTH or EXCLUDE_CHARACTERS. Never a secret."
  type        = map(string)
  default     = {}
}

variable "metric_namespace" {
  description = "Where the metrics go. Alarms read some without dimensions: give each environment its own."
  type        = string
  default     = "Festival/Secrets"
}

variable "log_retention_days" {
  description = "How long the function's log is kept."
  type        = number
  default     = 365
}

variable "slack_webhook_url" {
  description = "Where notices go besides the topics. Terraform's state and the function's configuration hold it."
  type        = string
  default     = null
  sensitive   = true
}

variable "companion_secret_arns" {
  description = "Secrets that `masterarn` may name, such as the database's rotation admin. They are only read."
  type        = list(string)
  default     = []
}

variable "kms_key_arns" {
  description = "Keys of companions and of secrets that were there before; aws/secretsmanager needs no right."
  type        = list(string)
  default     = []
}

variable "notes_enabled" {
  description = "Allow TagResource and UntagResource, for Keyturn's notes. Without: no retirement, no graces."
  type        = bool
  default     = true
}

variable "vpc" {
  description = <<-EOT
    Run the function in a VPC. `targets` are what it connects to, by a name of yours: a security group and its port,
    opened on both sides. The subnets need a way to Secrets Manager, SNS and vendors' APIs: NAT, or VPC endpoints.
  EOT

  type = object({
    vpc_id     = string
    subnet_ids = list(string)
    targets    = optional(map(object({ security_group_id = string, port = number })), {})
  })
  default = null
}
