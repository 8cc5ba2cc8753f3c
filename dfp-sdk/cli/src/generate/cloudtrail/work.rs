//! Who works in the cloud, at what, where, and with which tools. Data only.

/// A program that calls.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Tool {
    Console,
    CommandLine,
    Terraform,
    Python,
    Go,
    Java,
    Agent,
    /// Programs that attackers bring.
    Scanner,
}

/// How a tool names itself. Version `minor` came out on day `anchor`, and one more every `cadence` days.
pub(super) struct Agent {
    pub(super) tool: Tool,
    pub(super) minor: i32,
    pub(super) cadence: i32,
    /// `$m` minor version, `$system` operating system, `$command` service and command, `$service` service.
    pub(super) text: &'static str,
}

/// 2026-01-05, when the versions in [`AGENTS`] were new.
pub(super) const ANCHOR: i32 = 20458;

pub(super) static AGENTS: &[Agent] = &[
    Agent {
        tool: Tool::CommandLine,
        minor: 32,
        cadence: 14,
        text: "aws-cli/2.$m.12 md/awscrt#0.29.1 ua/2.1 $system lang/python#3.13.11 md/pyimpl#CPython m/E,Z,b cfg/retry-mode#standard md/installer#exe md/prompt#off md/command#$command",
    },
    Agent {
        tool: Tool::Terraform,
        minor: 27,
        cadence: 10,
        text: "APN/1.0 HashiCorp/1.0 Terraform/1.14.3 (+https://www.terraform.io) terraform-provider-aws/6.$m.0 (+https://registry.terraform.io/providers/hashicorp/aws) aws-sdk-go-v2/1.41.0 ua/2.1 $system lang/go#1.25.5 md/GOOS#linux md/GOARCH#amd64 api/$service#1.0.$m",
    },
    Agent {
        tool: Tool::Python,
        minor: 42,
        cadence: 21,
        text: "Boto3/1.$m.21 md/Botocore#1.$m.21 ua/2.1 $system lang/python#3.12.12 md/pyimpl#CPython m/Z,b,D cfg/retry-mode#legacy Botocore/1.$m.21",
    },
    Agent {
        tool: Tool::Go,
        minor: 41,
        cadence: 30,
        text: "aws-sdk-go-v2/1.$m.0 ua/2.1 $system lang/go#1.25.5 md/GOOS#linux md/GOARCH#amd64 api/$service#1.0.$m",
    },
    Agent {
        tool: Tool::Java,
        minor: 40,
        cadence: 25,
        text: "aws-sdk-java/2.$m.10 md/io#sync md/http#Apache ua/2.1 api/$service#2.$m.x $system lang/java#21.0.9 md/OpenJDK_64-Bit_Server_VM md/vendor#Amazon.com_Inc. md/en",
    },
    Agent {
        tool: Tool::Agent,
        minor: 1,
        cadence: 60,
        text: "aws-sdk-go/1.55.5 (go1.24.$m; linux; amd64) amazon-ssm-agent/",
    },
    Agent {
        tool: Tool::Scanner,
        minor: 26,
        cadence: 90,
        text: "Boto3/1.$m.90 Python/3.11.2 Linux/6.1.0-kali9-amd64 Botocore/1.29.165",
    },
];

/// Something that people do in one go: calls in order, each with how often it is made on average.
pub(super) struct Task {
    pub(super) name: &'static str,
    pub(super) tool: Tool,
    pub(super) calls: &'static [(&'static str, f64)],
}

const fn task(name: &'static str, tool: Tool, calls: &'static [(&'static str, f64)]) -> Task {
    Task { name, tool, calls }
}

pub(super) static TASKS: &[Task] = &[
    task(
        "browse instances",
        Tool::Console,
        &[
            ("ec2:DescribeInstances", 1.6),
            ("ec2:DescribeInstanceStatus", 1.0),
            ("ec2:DescribeTags", 0.8),
            ("monitoring:DescribeAlarms", 0.6),
            ("ec2:DescribeVolumes", 0.5),
            ("ec2:DescribeAddresses", 0.3),
            ("ec2:DescribeSecurityGroups", 0.4),
            ("health:DescribeEventAggregates", 0.5),
        ],
    ),
    task(
        "read logs",
        Tool::Console,
        &[
            ("logs:DescribeLogGroups", 1.3),
            ("logs:DescribeLogStreams", 1.0),
            ("logs:GetLogEvents", 1.4),
            ("logs:FilterLogEvents", 0.9),
            ("health:DescribeEventAggregates", 0.4),
        ],
    ),
    task(
        "query logs",
        Tool::Console,
        &[("logs:DescribeLogGroups", 1.0), ("logs:StartQuery", 1.5), ("logs:GetQueryResults", 4.0)],
    ),
    task("tail logs", Tool::CommandLine, &[("sts:GetCallerIdentity", 0.2), ("logs:FilterLogEvents", 4.0)]),
    task(
        "watch services",
        Tool::Console,
        &[
            ("ecs:ListServices", 1.0),
            ("ecs:DescribeServices", 2.0),
            ("ecs:ListTasks", 0.8),
            ("ecs:DescribeTasks", 1.2),
            ("elasticloadbalancing:DescribeTargetHealth", 0.7),
            ("monitoring:GetMetricData", 1.3),
        ],
    ),
    task(
        "look at a function",
        Tool::Console,
        &[
            ("lambda:ListFunctions20150331", 1.0),
            ("lambda:GetFunction20150331v2", 1.1),
            ("lambda:GetPolicy20150331v2", 0.5),
            ("logs:DescribeLogStreams", 0.6),
            ("monitoring:GetMetricData", 0.8),
        ],
    ),
    task(
        "deploy a function",
        Tool::CommandLine,
        &[
            ("sts:GetCallerIdentity", 0.6),
            ("lambda:GetFunctionConfiguration20150331v2", 1.0),
            ("lambda:UpdateFunctionCode20150331v2", 1.0),
            ("lambda:GetFunctionConfiguration20150331v2", 2.0),
            ("lambda:PublishVersion20150331", 0.4),
        ],
    ),
    task(
        "push an image",
        Tool::CommandLine,
        &[
            ("ecr:GetAuthorizationToken", 1.0),
            ("ecr:BatchGetImage", 1.0),
            ("ecr:PutImage", 1.0),
            ("ecs:RegisterTaskDefinition", 0.5),
            ("ecs:UpdateService", 0.5),
        ],
    ),
    task(
        "plan",
        Tool::Terraform,
        &[
            ("sts:GetCallerIdentity", 1.0),
            ("ec2:DescribeVpcs", 1.0),
            ("ec2:DescribeSubnets", 1.4),
            ("ec2:DescribeRouteTables", 1.2),
            ("ec2:DescribeSecurityGroups", 1.5),
            ("iam:GetRole", 1.8),
            ("iam:ListRolePolicies", 1.2),
            ("iam:ListAttachedRolePolicies", 1.2),
            ("s3:GetBucketPolicy", 1.0),
            ("s3:GetBucketVersioning", 1.0),
            ("lambda:GetFunction20150331v2", 1.0),
            ("cloudformation:DescribeStacks", 0.3),
        ],
    ),
    task(
        "apply",
        Tool::Terraform,
        &[
            ("sts:GetCallerIdentity", 1.0),
            ("ec2:DescribeSecurityGroups", 1.0),
            ("iam:GetRole", 1.2),
            ("ec2:AuthorizeSecurityGroupIngress", 0.5),
            ("ec2:CreateTags", 0.8),
            ("iam:AttachRolePolicy", 0.3),
            ("lambda:UpdateFunctionConfiguration20150331v2", 0.8),
            ("ecs:UpdateService", 0.6),
            ("iam:CreatePolicyVersion", 0.2),
            ("iam:UpdateAssumeRolePolicy", 0.05),
            ("ec2:CreateSecurityGroup", 0.1),
            ("s3:PutBucketLifecycle", 0.06),
            ("cloudtrail:GetEventSelectors", 0.08),
            ("cloudtrail:PutEventSelectors", 0.01),
        ],
    ),
    task(
        "stack update",
        Tool::CommandLine,
        &[
            ("cloudformation:DescribeStacks", 1.2),
            ("cloudformation:CreateChangeSet", 1.0),
            ("cloudformation:ExecuteChangeSet", 0.9),
            ("cloudformation:DescribeStackEvents", 3.0),
            ("cloudformation:DescribeStacks", 1.5),
        ],
    ),
    task(
        "try a machine",
        Tool::Console,
        &[
            ("ec2:DescribeImages", 1.0),
            ("ec2:DescribeInstanceTypes", 1.0),
            ("ec2:DescribeKeyPairs", 1.0),
            ("ec2:DescribeSecurityGroups", 1.0),
            ("ec2:RunInstances#console", 1.0),
            ("ec2:DescribeInstances", 2.0),
            ("ec2:TerminateInstances", 0.7),
        ],
    ),
    task(
        "log in to a machine",
        Tool::CommandLine,
        &[
            ("ec2:DescribeInstances", 0.7),
            ("ssm:DescribeInstanceInformation", 0.5),
            ("ssm:StartSession", 1.0),
            ("ssm:TerminateSession", 0.8),
        ],
    ),
    task(
        "look up a secret",
        Tool::Console,
        &[
            ("secretsmanager:ListSecrets", 1.0),
            ("secretsmanager:DescribeSecret", 1.0),
            ("secretsmanager:GetSecretValue", 0.8),
            ("kms:Decrypt", 0.8),
        ],
    ),
    task(
        "read parameters",
        Tool::CommandLine,
        &[("ssm:GetParameter", 1.5), ("ssm:GetParametersByPath", 0.4)],
    ),
    task(
        "fetch objects",
        Tool::CommandLine,
        &[("s3:ListObjects", 1.2), ("s3:GetObject", 3.0), ("s3:HeadObject", 0.6)],
    ),
    task("put objects", Tool::CommandLine, &[("s3:ListObjects", 0.6), ("s3:PutObject", 2.5)]),
    task(
        "browse a bucket",
        Tool::Console,
        &[
            ("s3:ListBuckets", 1.0),
            ("s3:GetBucketLocation", 1.0),
            ("s3:ListObjects", 2.2),
            ("s3:GetBucketPolicyStatus", 0.4),
            ("s3:GetObject", 0.7),
        ],
    ),
    task(
        "test a script",
        Tool::Python,
        &[
            ("sts:GetCallerIdentity", 0.3),
            ("s3:GetObject", 1.6),
            ("dynamodb:DescribeTable", 0.5),
            ("sqs:ListQueues", 0.3),
            ("secretsmanager:GetSecretValue", 0.5),
        ],
    ),
    task(
        "query",
        Tool::Console,
        &[
            ("athena:ListWorkGroups", 0.4),
            ("glue:GetDatabases", 0.8),
            ("glue:GetTables", 1.0),
            ("athena:StartQueryExecution", 1.4),
            ("athena:GetQueryExecution", 3.0),
            ("athena:GetQueryResults", 1.2),
        ],
    ),
    task(
        "notebook",
        Tool::Python,
        &[
            ("glue:GetTables", 0.8),
            ("glue:GetPartitions", 0.8),
            ("athena:StartQueryExecution", 1.6),
            ("athena:GetQueryExecution", 3.0),
            ("s3:GetObject", 3.5),
            ("s3:ListObjects", 1.0),
        ],
    ),
    task(
        "warehouse",
        Tool::Python,
        &[("redshift-data:ExecuteStatement", 1.5), ("redshift-data:DescribeStatement", 3.0)],
    ),
    task(
        "open a lab",
        Tool::Console,
        &[("sagemaker:ListNotebookInstances", 1.0), ("sagemaker:CreatePresignedNotebookInstanceUrl", 0.9)],
    ),
    task(
        "watch jobs",
        Tool::Console,
        &[("glue:GetJobRuns", 2.0), ("logs:GetLogEvents", 0.8), ("glue:StartJobRun", 0.3)],
    ),
    task(
        "check alarms",
        Tool::Console,
        &[
            ("monitoring:DescribeAlarms", 1.5),
            ("monitoring:ListDashboards", 0.6),
            ("monitoring:GetMetricData", 3.0),
            ("health:DescribeEventAggregates", 0.7),
        ],
    ),
    task(
        "patch",
        Tool::CommandLine,
        &[
            ("ssm:DescribeInstanceInformation", 1.0),
            ("ssm:SendCommand", 1.8),
            ("ec2:RebootInstances", 0.4),
            ("ec2:DescribeInstanceStatus", 1.5),
        ],
    ),
    task(
        "resize",
        Tool::Console,
        &[
            ("ec2:DescribeInstances", 1.2),
            ("ec2:StopInstances", 1.0),
            ("ec2:DescribeInstanceStatus", 1.5),
            ("ec2:StartInstances", 1.0),
        ],
    ),
    task(
        "databases",
        Tool::Console,
        &[
            ("rds:DescribeDBInstances", 1.5),
            ("rds:DescribeDBClusters", 1.0),
            ("rds:DescribeDBSnapshots", 0.5),
            ("monitoring:GetMetricData", 1.2),
            ("rds:CreateDBSnapshot", 0.15),
        ],
    ),
    task(
        "accounts",
        Tool::Console,
        &[
            ("iam:GetAccountSummary", 1.0),
            ("iam:ListUsers", 1.0),
            ("iam:ListAccessKeys", 1.5),
            ("iam:ListMFADevices", 1.0),
            ("iam:ListAttachedUserPolicies", 0.8),
            ("iam:ListRoles", 0.6),
            ("iam:GetRole", 0.8),
            ("iam:GetPolicyVersion", 0.5),
            ("iam:AddUserToGroup", 0.15),
        ],
    ),
    task(
        "rotate a key",
        Tool::CommandLine,
        &[
            ("iam:ListAccessKeys", 1.0),
            ("iam:CreateAccessKey#own", 1.0),
            ("iam:DeleteAccessKey", 0.8),
            ("sts:GetCallerIdentity", 0.8),
        ],
    ),
    task(
        "review security",
        Tool::Console,
        &[
            ("securityhub:GetFindings", 2.0),
            ("guardduty:ListDetectors", 0.8),
            ("guardduty:GetDetector", 0.8),
            ("access-analyzer:ListFindings", 1.0),
            ("cloudtrail:LookupEvents", 1.5),
            ("cloudtrail:DescribeTrails", 0.5),
            ("cloudtrail:GetTrailStatus", 0.5),
        ],
    ),
    task(
        "audit by script",
        Tool::Python,
        &[
            ("iam:ListUsers", 1.0),
            ("iam:ListAccessKeys", 4.0),
            ("iam:ListRoles", 1.0),
            ("s3:ListBuckets", 1.0),
            ("s3:GetBucketPolicyStatus", 3.0),
            ("ec2:DescribeSecurityGroups", 1.0),
        ],
    ),
    task(
        "costs",
        Tool::Console,
        &[("ce:GetCostAndUsage", 3.0), ("ce:GetCostForecast", 0.8), ("organizations:ListAccounts", 0.6)],
    ),
    task(
        "jump to another account",
        Tool::CommandLine,
        &[("sts:AssumeRole", 1.0), ("sts:GetCallerIdentity", 0.5)],
    ),
];

/// How a department works in the cloud.
pub(super) struct Job {
    pub(super) department: &'static str,
    /// Part of its people who do.
    pub(super) share: f64,
    /// Tasks on an ordinary day.
    pub(super) tasks: f64,
    /// Accounts by number, roles in them, weights.
    pub(super) grants: &'static [(usize, &'static str, u32)],
    /// What they do, with weights.
    pub(super) habits: &'static [(&'static str, u32)],
}

pub(super) const PRODUCTION: usize = 0;
pub(super) const STAGING: usize = 1;
pub(super) const DATA: usize = 2;
pub(super) const SECURITY: usize = 3;

/// The company's accounts.
pub(super) static ACCOUNTS: &[&str] = &["production", "staging", "data", "security"];

pub(super) static JOBS: &[Job] = &[
    Job {
        department: "Engineering",
        share: 0.8,
        tasks: 9.0,
        grants: &[
            (STAGING, "PowerUserAccess", 60),
            (PRODUCTION, "ReadOnlyAccess", 30),
            (PRODUCTION, "ReleaseManager", 12),
        ],
        habits: &[
            ("browse instances", 14),
            ("read logs", 30),
            ("query logs", 16),
            ("tail logs", 14),
            ("watch services", 18),
            ("look at a function", 14),
            ("deploy a function", 10),
            ("push an image", 10),
            ("plan", 12),
            ("apply", 5),
            ("stack update", 6),
            ("try a machine", 3),
            ("log in to a machine", 5),
            ("look up a secret", 4),
            ("read parameters", 8),
            ("fetch objects", 8),
            ("browse a bucket", 8),
            ("test a script", 10),
            ("databases", 4),
        ],
    },
    Job {
        department: "IT Operations",
        share: 0.95,
        tasks: 12.0,
        grants: &[
            (PRODUCTION, "OperationsAccess", 50),
            (STAGING, "AdministratorAccess", 14),
            (PRODUCTION, "AdministratorAccess", 8),
            (SECURITY, "SecurityAudit", 14),
        ],
        habits: &[
            ("browse instances", 26),
            ("check alarms", 30),
            ("read logs", 16),
            ("patch", 12),
            ("resize", 6),
            ("log in to a machine", 16),
            ("databases", 10),
            ("accounts", 8),
            ("rotate a key", 2),
            ("review security", 10),
            ("audit by script", 4),
            ("plan", 8),
            ("apply", 6),
            ("look up a secret", 4),
            ("browse a bucket", 6),
            ("jump to another account", 5),
            ("costs", 2),
        ],
    },
    Job {
        department: "Data",
        share: 0.9,
        tasks: 10.0,
        grants: &[(DATA, "DataAnalyst", 70), (DATA, "DataEngineer", 20), (PRODUCTION, "ReadOnlyAccess", 5)],
        habits: &[
            ("query", 40),
            ("notebook", 30),
            ("warehouse", 20),
            ("open a lab", 8),
            ("watch jobs", 14),
            ("browse a bucket", 12),
            ("fetch objects", 14),
            ("put objects", 8),
            ("test a script", 8),
            ("read logs", 6),
        ],
    },
    Job {
        department: "Finance",
        share: 0.25,
        tasks: 1.0,
        grants: &[(PRODUCTION, "Billing", 1)],
        habits: &[("costs", 1)],
    },
    Job {
        department: "Customer Support",
        share: 0.15,
        tasks: 2.5,
        grants: &[(PRODUCTION, "SupportAccess", 1)],
        habits: &[("read logs", 3), ("query logs", 5), ("browse a bucket", 1)],
    },
];

/// A region, and in which accounts there is usually something going on.
pub(super) struct Region {
    pub(super) name: &'static str,
    pub(super) used_by: &'static [usize],
}

/// The region that most happens in.
pub(super) const HOME: usize = 0;
/// The region of the services that have none.
pub(super) const GLOBAL: usize = 1;

pub(super) static REGIONS: &[Region] = &[
    Region { name: "eu-west-1", used_by: &[PRODUCTION, STAGING, DATA, SECURITY] },
    Region { name: "us-east-1", used_by: &[PRODUCTION, STAGING, DATA, SECURITY] },
    Region { name: "eu-central-1", used_by: &[PRODUCTION] },
    Region { name: "ap-south-1", used_by: &[STAGING] },
    Region { name: "us-west-2", used_by: &[] },
    Region { name: "sa-east-1", used_by: &[] },
    Region { name: "ap-southeast-1", used_by: &[] },
    Region { name: "ap-northeast-1", used_by: &[] },
    Region { name: "ca-central-1", used_by: &[] },
];

/// Services whose records all lie in one region.
pub(super) static GLOBAL_SERVICES: &[&str] = &["iam", "organizations", "ce", "route53", "health"];

/// How a machine is known to the cloud.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Nature {
    /// A virtual machine with a role.
    Instance,
    /// A function with a role.
    Function,
    /// A program with a user's long-lived key.
    User,
    /// A build that exchanges a token for a role.
    Pipeline,
    /// A supplier who assumes a role from an account of its own.
    Supplier,
}

/// Something that runs without people.
pub(super) struct Machine {
    /// Role or user.
    pub(super) name: &'static str,
    pub(super) nature: Nature,
    pub(super) account: usize,
    pub(super) tool: Tool,
    /// Minutes between two runs, and how late a run may be.
    pub(super) period: i64,
    pub(super) jitter: f64,
    /// Whether it runs only in working hours.
    pub(super) office_hours: bool,
    pub(super) calls: &'static [(&'static str, f64)],
}

pub(super) static MACHINES: &[Machine] = &[
    Machine {
        name: "orders-api",
        nature: Nature::Instance,
        account: PRODUCTION,
        tool: Tool::Java,
        period: 45,
        jitter: 20.0,
        office_hours: false,
        calls: &[
            ("secretsmanager:GetSecretValue", 0.4),
            ("kms:Decrypt", 0.4),
            ("s3:GetObject", 1.5),
            ("s3:PutObject", 1.2),
            ("dynamodb:DescribeTable", 0.2),
        ],
    },
    Machine {
        name: "github-deploy",
        nature: Nature::Pipeline,
        account: STAGING,
        tool: Tool::Terraform,
        period: 70,
        jitter: 60.0,
        office_hours: true,
        calls: &[
            ("ec2:DescribeVpcs", 1.0),
            ("ec2:DescribeSubnets", 1.0),
            ("iam:GetRole", 2.0),
            ("iam:ListAttachedRolePolicies", 1.0),
            ("lambda:GetFunction20150331v2", 1.4),
            ("lambda:UpdateFunctionCode20150331v2", 0.7),
            ("ecr:GetAuthorizationToken", 0.7),
            ("ecr:PutImage", 0.7),
            ("ecs:RegisterTaskDefinition", 0.6),
            ("ecs:UpdateService", 0.6),
            ("iam:AttachRolePolicy", 0.05),
        ],
    },
    Machine {
        name: "etl-nightly",
        nature: Nature::Function,
        account: DATA,
        tool: Tool::Python,
        period: 360,
        jitter: 8.0,
        office_hours: false,
        calls: &[
            ("s3:ListObjects", 2.0),
            ("s3:GetObject", 12.0),
            ("s3:PutObject", 6.0),
            ("glue:StartJobRun", 1.0),
            ("glue:GetJobRuns", 2.0),
            ("athena:StartQueryExecution", 1.0),
            ("athena:GetQueryExecution", 2.0),
        ],
    },
    Machine {
        name: "svc-backup",
        nature: Nature::User,
        account: PRODUCTION,
        tool: Tool::Python,
        period: 720,
        jitter: 3.0,
        office_hours: false,
        calls: &[
            ("ec2:DescribeVolumes", 1.0),
            ("ec2:CreateSnapshot", 6.0),
            ("ec2:DescribeSnapshots", 1.5),
            ("ec2:DeleteSnapshot", 4.0),
        ],
    },
    Machine {
        name: "DatadogIntegrationRole",
        nature: Nature::Supplier,
        account: PRODUCTION,
        tool: Tool::Go,
        period: 60,
        jitter: 2.0,
        office_hours: false,
        calls: &[
            ("monitoring:ListMetrics", 0.7),
            ("monitoring:GetMetricData", 2.0),
            ("ec2:DescribeInstances", 0.8),
            ("rds:DescribeDBInstances", 0.5),
            ("lambda:ListFunctions20150331", 0.3),
            ("elasticloadbalancing:DescribeLoadBalancers", 0.5),
        ],
    },
    Machine {
        name: "posture-scanner",
        nature: Nature::Function,
        account: SECURITY,
        tool: Tool::Python,
        period: 1440,
        jitter: 30.0,
        office_hours: false,
        calls: &[
            ("iam:ListUsers", 1.0),
            ("iam:ListAccessKeys", 8.0),
            ("iam:ListRoles", 1.0),
            ("iam:GetRolePolicy", 4.0),
            ("iam:GetAccountPasswordPolicy", 1.0),
            ("s3:ListBuckets", 1.0),
            ("s3:GetBucketPolicyStatus", 6.0),
            ("s3:GetBucketPublicAccessBlock", 6.0),
            ("s3:GetBucketEncryption", 6.0),
            ("ec2:DescribeSecurityGroups", 2.0),
            ("cloudtrail:DescribeTrails", 1.0),
            ("cloudtrail:GetTrailStatus", 1.0),
            ("kms:ListAliases", 1.0),
        ],
    },
    Machine {
        name: "grafana-reader",
        nature: Nature::User,
        account: STAGING,
        tool: Tool::Go,
        period: 80,
        jitter: 1.0,
        office_hours: false,
        calls: &[
            ("monitoring:ListMetrics", 0.6),
            ("monitoring:GetMetricData", 2.4),
            ("logs:DescribeLogGroups", 0.3),
        ],
    },
    Machine {
        name: "build-worker",
        nature: Nature::Instance,
        account: STAGING,
        tool: Tool::Go,
        period: 50,
        jitter: 30.0,
        office_hours: true,
        calls: &[
            ("ecr:GetAuthorizationToken", 1.0),
            ("ecr:BatchGetImage", 1.4),
            ("s3:GetObject", 1.4),
            ("s3:PutObject", 0.8),
            ("ssm:GetParameter", 0.8),
        ],
    },
];

/// What AWS does on its own account.
pub(super) struct System {
    /// The service that calls.
    pub(super) service: &'static str,
    pub(super) call: &'static str,
    /// Minutes between two calls in an account and region with work in it.
    pub(super) period: f64,
    /// The role that is assumed, if any.
    pub(super) role: &'static str,
    pub(super) session: &'static str,
    /// Only in the region that most happens in.
    pub(super) home: bool,
}

pub(super) static SYSTEMS: &[System] = &[
    System {
        service: "cloudtrail.amazonaws.com",
        call: "s3:GetBucketAcl",
        period: 20.0,
        role: "",
        session: "",
        home: false,
    },
    System {
        service: "cloudtrail.amazonaws.com",
        call: "kms:GenerateDataKey",
        period: 45.0,
        role: "",
        session: "",
        home: false,
    },
    System {
        service: "delivery.logs.amazonaws.com",
        call: "s3:PutObject",
        period: 11.0,
        role: "",
        session: "",
        home: true,
    },
    System {
        service: "config.amazonaws.com",
        call: "sts:AssumeRole#service",
        period: 90.0,
        role: "aws-service-role/config.amazonaws.com/AWSServiceRoleForConfig",
        session: "AWSConfig-Describe",
        home: false,
    },
    System {
        service: "ec2.amazonaws.com",
        call: "sts:AssumeRole#service",
        period: 40.0,
        role: "orders-api",
        session: "$instance",
        home: true,
    },
    System {
        service: "lambda.amazonaws.com",
        call: "sts:AssumeRole#service",
        period: 30.0,
        role: "etl-nightly",
        session: "$function",
        home: true,
    },
    System {
        service: "ecs-tasks.amazonaws.com",
        call: "sts:AssumeRole#service",
        period: 45.0,
        role: "ecs-task-execution",
        session: "$hex",
        home: true,
    },
    System {
        service: "resource-explorer-2.amazonaws.com",
        call: "sts:AssumeRole#service",
        period: 120.0,
        role: "aws-service-role/resource-explorer-2.amazonaws.com/AWSServiceRoleForResourceExplorer",
        session: "ResourceExplorer",
        home: false,
    },
    System {
        service: "trustedadvisor.amazonaws.com",
        call: "sts:AssumeRole#service",
        period: 400.0,
        role: "aws-service-role/trustedadvisor.amazonaws.com/AWSServiceRoleForTrustedAdvisor",
        session: "TrustedAdvisor",
        home: false,
    },
];
