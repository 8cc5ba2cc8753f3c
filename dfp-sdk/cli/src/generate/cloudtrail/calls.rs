//! What is called in the cloud. Data only.
//!
//! Parameters and answers are JSON with gaps (`$bucket`); `record` knows what goes into them.

/// What a call does.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Read,
    Write,
    /// Reads or writes what is stored, not how it is set up.
    ReadData,
    WriteData,
}

use Kind::{Read, ReadData, Write, WriteData};

/// A call of an interface.
pub(super) struct Call {
    /// Service and name: `ec2:DescribeInstances`.
    pub(super) key: &'static str,
    pub(super) kind: Kind,
    /// `requestParameters`, empty for null.
    pub(super) parameters: &'static str,
    /// `responseElements`, empty for null.
    pub(super) answer: &'static str,
    /// `resources`, empty for none.
    pub(super) resources: &'static str,
}

const fn read(key: &'static str, parameters: &'static str) -> Call {
    Call { key, kind: Read, parameters, answer: "", resources: "" }
}

const fn write(key: &'static str, parameters: &'static str, answer: &'static str) -> Call {
    Call { key, kind: Write, parameters, answer, resources: "" }
}

const fn object(key: &'static str, kind: Kind, parameters: &'static str) -> Call {
    let answer = if matches!(kind, WriteData) { r#"{"x-amz-server-side-encryption":"AES256"}"# } else { "" };
    Call { key, kind, parameters, answer, resources: OBJECT }
}

const OBJECT: &str = r#"[{"type":"AWS::S3::Object","ARN":"arn:aws:s3:::$bucket/$key"},{"accountId":"$account","type":"AWS::S3::Bucket","ARN":"arn:aws:s3:::$bucket"}]"#;
const BUCKET: &str = r#"[{"accountId":"$account","type":"AWS::S3::Bucket","ARN":"arn:aws:s3:::$bucket"}]"#;
const KMS_KEY: &str =
    r#"[{"accountId":"$account","type":"AWS::KMS::Key","ARN":"arn:aws:kms:$region:$account:key/$kmskey"}]"#;
const ROLE: &str =
    r#"[{"accountId":"$account","type":"AWS::IAM::Role","ARN":"arn:aws:iam::$account:role/$role"}]"#;
const CREDENTIALS: &str = r#"{"credentials":{"accessKeyId":"$newkey","sessionToken":"$secrettext","expiration":"$expiration"},"assumedRoleUser":{"assumedRoleId":"$roleid:$session","arn":"arn:aws:sts::$account:assumed-role/$role/$session"}}"#;
const RUN: &str = r#"{"requestId":"$request","reservationId":"r-$hex","ownerId":"$account","groupSet":{},"instancesSet":{"items":[{"instanceId":"$newinstance","imageId":"$image","currentState":{"code":0,"name":"pending"},"instanceType":"$type","placement":{"availabilityZone":"$regiona"},"monitoring":{"state":"disabled"},"ebsOptimized":false}]}}"#;

const fn bucket(key: &'static str, parameters: &'static str) -> Call {
    Call { key, kind: Read, parameters, answer: "", resources: BUCKET }
}

/// Every call of the generator.
pub(super) static CALLS: &[Call] = &[
    read("ec2:DescribeInstances", r#"{"maxResults":100,"instancesSet":{},"filterSet":{}}"#),
    read(
        "ec2:DescribeInstanceStatus",
        r#"{"maxResults":1000,"instancesSet":{},"filterSet":{},"includeAllInstances":true}"#,
    ),
    read("ec2:DescribeInstanceAttribute", r#"{"instanceId":"$instance","attribute":"userData"}"#),
    read("ec2:DescribeInstanceTypes", r#"{"maxResults":100}"#),
    read(
        "ec2:DescribeImages",
        r#"{"executableBySet":{},"imagesSet":{},"ownersSet":{"items":[{"owner":"self"}]},"filterSet":{}}"#,
    ),
    read(
        "ec2:DescribeSecurityGroups",
        r#"{"maxResults":1000,"securityGroupSet":{},"securityGroupIdSet":{},"filterSet":{}}"#,
    ),
    read("ec2:DescribeVpcs", r#"{"vpcSet":{},"filterSet":{}}"#),
    read("ec2:DescribeSubnets", r#"{"subnetSet":{},"filterSet":{}}"#),
    read("ec2:DescribeRouteTables", r#"{"routeTableIdSet":{},"filterSet":{}}"#),
    read("ec2:DescribeVolumes", r#"{"maxResults":500,"volumeSet":{},"filterSet":{}}"#),
    read(
        "ec2:DescribeSnapshots",
        r#"{"maxResults":1000,"snapshotSet":{},"ownersSet":{"items":[{"owner":"$account"}]},"sharedUsersSet":{},"filterSet":{}}"#,
    ),
    read("ec2:DescribeTags", r#"{"maxResults":1000,"filterSet":{}}"#),
    read("ec2:DescribeAddresses", r#"{"publicIpsSet":{},"filterSet":{},"allocationIdsSet":{}}"#),
    read("ec2:DescribeNetworkInterfaces", r#"{"networkInterfaceIdSet":{},"filterSet":{}}"#),
    read("ec2:DescribeRegions", r#"{"regionSet":{},"allRegions":true}"#),
    read(
        "ec2:DescribeAccountAttributes",
        r#"{"accountAttributeNameSet":{"items":[{"attributeName":"default-vpc"}]},"filterSet":{}}"#,
    ),
    read("ec2:DescribeKeyPairs", r#"{"keySet":{},"filterSet":{}}"#),
    read("ec2:GetPasswordData", r#"{"instanceId":"$instance"}"#),
    read("ec2:GetConsoleScreenshot", r#"{"instanceId":"$instance"}"#),
    write(
        "ec2:StartInstances",
        r#"{"instancesSet":{"items":[{"instanceId":"$instance"}]}}"#,
        r#"{"requestId":"$request","instancesSet":{"items":[{"instanceId":"$instance","currentState":{"code":0,"name":"pending"},"previousState":{"code":80,"name":"stopped"}}]}}"#,
    ),
    write(
        "ec2:StopInstances",
        r#"{"instancesSet":{"items":[{"instanceId":"$instance"}]},"force":false}"#,
        r#"{"requestId":"$request","instancesSet":{"items":[{"instanceId":"$instance","currentState":{"code":64,"name":"stopping"},"previousState":{"code":16,"name":"running"}}]}}"#,
    ),
    write(
        "ec2:RebootInstances",
        r#"{"instancesSet":{"items":[{"instanceId":"$instance"}]}}"#,
        r#"{"requestId":"$request","_return":true}"#,
    ),
    write(
        "ec2:RunInstances",
        r#"{"instancesSet":{"items":[{"imageId":"$image","minCount":1,"maxCount":1}]},"groupSet":{"items":[{"groupId":"$group"}]},"instanceType":"$type","blockDeviceMapping":{},"monitoring":{"enabled":false},"disableApiTermination":false,"disableApiStop":false,"clientToken":"$uuid","ebsOptimized":false}"#,
        RUN,
    ),
    write(
        "ec2:RunInstances#console",
        r#"{"instancesSet":{"items":[{"imageId":"$image","minCount":1,"maxCount":1,"keyName":"$keypair"}]},"groupSet":{"items":[{"groupId":"$group"}]},"instanceType":"$type","blockDeviceMapping":{"items":[{"deviceName":"/dev/xvda","ebs":{"volumeSize":20,"deleteOnTermination":true,"volumeType":"gp3"}}]},"monitoring":{"enabled":false},"disableApiTermination":{"value":false},"clientToken":"$uuid","ebsOptimized":true}"#,
        RUN,
    ),
    write(
        "ec2:RunInstances#mining",
        r#"{"instancesSet":{"items":[{"imageId":"$image","minCount":8,"maxCount":20}]},"groupSet":{"items":[{"groupId":"$group"}]},"instanceType":"$bigtype","userData":"<sensitiveDataRemoved>","blockDeviceMapping":{},"monitoring":{"enabled":false},"disableApiTermination":true,"clientToken":"$uuid","ebsOptimized":false}"#,
        RUN,
    ),
    write(
        "ec2:TerminateInstances",
        r#"{"instancesSet":{"items":[{"instanceId":"$instance"}]}}"#,
        r#"{"requestId":"$request","instancesSet":{"items":[{"instanceId":"$instance","currentState":{"code":32,"name":"shutting-down"},"previousState":{"code":16,"name":"running"}}]}}"#,
    ),
    write(
        "ec2:CreateTags",
        r#"{"resourcesSet":{"items":[{"resourceId":"$instance"}]},"tagSet":{"items":[{"key":"owner","value":"$session"}]}}"#,
        r#"{"requestId":"$request","_return":true}"#,
    ),
    write(
        "ec2:CreateKeyPair",
        r#"{"keyName":"$keypair","keyType":"rsa","keyFormat":"pem"}"#,
        r#"{"requestId":"$request","keyName":"$keypair","keyPairId":"key-$hex","keyFingerprint":"$hex","keyMaterial":"<sensitiveDataRemoved>"}"#,
    ),
    write(
        "ec2:CreateSecurityGroup",
        r#"{"groupName":"$keypair","groupDescription":"created by $session","vpcId":"vpc-$hex"}"#,
        r#"{"requestId":"$request","_return":true,"groupId":"$group"}"#,
    ),
    write(
        "ec2:AuthorizeSecurityGroupIngress",
        r#"{"groupId":"$group","ipPermissions":{"items":[{"ipProtocol":"tcp","fromPort":443,"toPort":443,"groups":{},"ipRanges":{"items":[{"cidrIp":"10.0.0.0/8"}]},"ipv6Ranges":{},"prefixListIds":{}}]}}"#,
        r#"{"requestId":"$request","_return":true}"#,
    ),
    write(
        "ec2:AuthorizeSecurityGroupIngress#open",
        r#"{"groupId":"$group","ipPermissions":{"items":[{"ipProtocol":"tcp","fromPort":22,"toPort":22,"groups":{},"ipRanges":{"items":[{"cidrIp":"0.0.0.0/0"}]},"ipv6Ranges":{},"prefixListIds":{}}]}}"#,
        r#"{"requestId":"$request","_return":true}"#,
    ),
    write(
        "ec2:RequestSpotInstances",
        r#"{"instanceCount":10,"type":"one-time","launchSpecification":{"imageId":"$image","instanceType":"$bigtype"}}"#,
        r#"{"requestId":"$request","spotInstanceRequestSet":{"items":[{"spotInstanceRequestId":"sir-$hex","state":"open"}]}}"#,
    ),
    write(
        "ec2:CreateSnapshot",
        r#"{"volumeId":"$volume","description":"nightly"}"#,
        r#"{"requestId":"$request","snapshotId":"$snapshot","volumeId":"$volume","status":"pending","ownerId":"$account","volumeSize":"40","encrypted":true}"#,
    ),
    write(
        "ec2:DeleteSnapshot",
        r#"{"snapshotId":"$snapshot"}"#,
        r#"{"requestId":"$request","_return":true}"#,
    ),
    write(
        "ec2:ModifySnapshotAttribute",
        r#"{"snapshotId":"$snapshot","createVolumePermission":{"add":{"items":[{"userId":"$stranger"}]}},"attributeType":"CREATE_VOLUME_PERMISSION"}"#,
        r#"{"requestId":"$request","_return":true}"#,
    ),
    bucket("s3:ListBuckets", r#"{"Host":"s3.$region.amazonaws.com"}"#),
    bucket(
        "s3:GetBucketLocation",
        r#"{"bucketName":"$bucket","Host":"s3.$region.amazonaws.com","location":""}"#,
    ),
    bucket("s3:GetBucketPolicy", r#"{"bucketName":"$bucket","Host":"s3.$region.amazonaws.com","policy":""}"#),
    bucket(
        "s3:GetBucketPolicyStatus",
        r#"{"bucketName":"$bucket","Host":"s3.$region.amazonaws.com","policyStatus":""}"#,
    ),
    bucket(
        "s3:GetBucketAcl",
        r#"{"bucketName":"$bucket","Host":"$bucket.s3.$region.amazonaws.com","acl":""}"#,
    ),
    bucket(
        "s3:GetBucketVersioning",
        r#"{"bucketName":"$bucket","Host":"s3.$region.amazonaws.com","versioning":""}"#,
    ),
    bucket(
        "s3:GetBucketEncryption",
        r#"{"bucketName":"$bucket","Host":"s3.$region.amazonaws.com","encryption":""}"#,
    ),
    bucket(
        "s3:GetBucketPublicAccessBlock",
        r#"{"bucketName":"$bucket","Host":"s3.$region.amazonaws.com","publicAccessBlock":""}"#,
    ),
    bucket(
        "s3:GetBucketLogging",
        r#"{"bucketName":"$bucket","Host":"s3.$region.amazonaws.com","logging":""}"#,
    ),
    object(
        "s3:ListObjects",
        ReadData,
        r#"{"list-type":"2","bucketName":"$bucket","prefix":"$prefix","max-keys":"1000","Host":"$bucket.s3.$region.amazonaws.com"}"#,
    ),
    object(
        "s3:GetObject",
        ReadData,
        r#"{"bucketName":"$bucket","Host":"$bucket.s3.$region.amazonaws.com","key":"$key"}"#,
    ),
    object(
        "s3:HeadObject",
        ReadData,
        r#"{"bucketName":"$bucket","Host":"$bucket.s3.$region.amazonaws.com","key":"$key"}"#,
    ),
    object(
        "s3:PutObject",
        WriteData,
        r#"{"bucketName":"$bucket","Host":"$bucket.s3.$region.amazonaws.com","key":"$key"}"#,
    ),
    object(
        "s3:DeleteObject",
        WriteData,
        r#"{"bucketName":"$bucket","Host":"$bucket.s3.$region.amazonaws.com","key":"$key"}"#,
    ),
    write(
        "s3:PutBucketPolicy",
        r#"{"bucketName":"$bucket","bucketPolicy":{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::$bucket/*"}]},"Host":"s3.$region.amazonaws.com","policy":""}"#,
        "",
    ),
    write(
        "s3:DeleteBucketPublicAccessBlock",
        r#"{"bucketName":"$bucket","Host":"s3.$region.amazonaws.com","publicAccessBlock":""}"#,
        "",
    ),
    write(
        "s3:PutBucketLifecycle",
        r#"{"bucketName":"$bucket","LifecycleConfiguration":{"Rule":{"ID":"expire","Status":"Enabled","Filter":{"Prefix":""},"Expiration":{"Days":1}}},"Host":"s3.$region.amazonaws.com","lifecycle":""}"#,
        "",
    ),
    read("iam:ListUsers", r#"{"maxItems":1000}"#),
    read("iam:ListRoles", r#"{"maxItems":1000}"#),
    read("iam:ListPolicies", r#"{"maxItems":"1000","onlyAttached":false}"#),
    read("iam:ListAccessKeys", r#"{"userName":"$user"}"#),
    read("iam:ListAttachedUserPolicies", r#"{"userName":"$user"}"#),
    read("iam:ListUserPolicies", r#"{"userName":"$user"}"#),
    read("iam:ListGroupsForUser", r#"{"userName":"$user"}"#),
    read("iam:ListAttachedRolePolicies", r#"{"roleName":"$role"}"#),
    read("iam:ListRolePolicies", r#"{"roleName":"$role"}"#),
    read("iam:ListMFADevices", r#"{"userName":"$user"}"#),
    read("iam:GetUser", r#"{"userName":"$user"}"#),
    read("iam:GetRole", r#"{"roleName":"$role"}"#),
    read("iam:GetRolePolicy", r#"{"roleName":"$role","policyName":"inline"}"#),
    read("iam:GetPolicy", r#"{"policyArn":"arn:aws:iam::$account:policy/$policy"}"#),
    read("iam:GetPolicyVersion", r#"{"policyArn":"arn:aws:iam::$account:policy/$policy","versionId":"v1"}"#),
    read("iam:GetAccountSummary", ""),
    read("iam:GetAccountPasswordPolicy", ""),
    read("iam:GetAccountAuthorizationDetails", r#"{"maxItems":1000}"#),
    read("iam:ListAccountAliases", ""),
    write(
        "iam:CreateUser",
        r#"{"userName":"$newuser"}"#,
        r#"{"user":{"path":"/","userName":"$newuser","userId":"AIDA$id","arn":"arn:aws:iam::$account:user/$newuser","createDate":"$date"}}"#,
    ),
    write(
        "iam:CreateAccessKey",
        r#"{"userName":"$newuser"}"#,
        r#"{"accessKey":{"userName":"$newuser","accessKeyId":"AKIA$id","status":"Active","createDate":"$date"}}"#,
    ),
    write(
        "iam:CreateAccessKey#own",
        r#"{"userName":"$user"}"#,
        r#"{"accessKey":{"userName":"$user","accessKeyId":"AKIA$id","status":"Active","createDate":"$date"}}"#,
    ),
    write("iam:DeleteAccessKey", r#"{"userName":"$user","accessKeyId":"AKIA$id"}"#, ""),
    write(
        "iam:CreateLoginProfile",
        r#"{"userName":"$newuser","passwordResetRequired":false}"#,
        r#"{"loginProfile":{"userName":"$newuser","createDate":"$date","passwordResetRequired":false}}"#,
    ),
    write("iam:UpdateLoginProfile", r#"{"userName":"$user","passwordResetRequired":false}"#, ""),
    write(
        "iam:AttachUserPolicy",
        r#"{"userName":"$newuser","policyArn":"arn:aws:iam::aws:policy/AdministratorAccess"}"#,
        "",
    ),
    write(
        "iam:AttachRolePolicy",
        r#"{"roleName":"$role","policyArn":"arn:aws:iam::$account:policy/$policy"}"#,
        "",
    ),
    write(
        "iam:AttachRolePolicy#admin",
        r#"{"roleName":"$role","policyArn":"arn:aws:iam::aws:policy/AdministratorAccess"}"#,
        "",
    ),
    write(
        "iam:PutUserPolicy",
        r#"{"userName":"$user","policyName":"inline","policyDocument":"{\n    \"Version\": \"2012-10-17\",\n    \"Statement\": [{\"Effect\": \"Allow\", \"Action\": \"*\", \"Resource\": \"*\"}]\n}"}"#,
        "",
    ),
    write(
        "iam:UpdateAssumeRolePolicy",
        r#"{"roleName":"$role","policyDocument":"{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\",\"Principal\":{\"AWS\":\"arn:aws:iam::$stranger:root\"},\"Action\":\"sts:AssumeRole\"}]}"}"#,
        "",
    ),
    write(
        "iam:CreatePolicyVersion",
        r#"{"policyArn":"arn:aws:iam::$account:policy/$policy","policyDocument":"{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\",\"Action\":[\"s3:GetObject\"],\"Resource\":\"*\"}]}","setAsDefault":true}"#,
        r#"{"policyVersion":{"versionId":"v7","isDefaultVersion":true,"createDate":"$date"}}"#,
    ),
    write("iam:PassRole", r#"{"roleName":"$role"}"#, ""),
    write("iam:AddUserToGroup", r#"{"groupName":"developers","userName":"$user"}"#, ""),
    read("sts:GetCallerIdentity", ""),
    Call {
        key: "sts:AssumeRole",
        kind: Read,
        parameters: r#"{"roleArn":"arn:aws:iam::$account:role/$role","roleSessionName":"$session","durationSeconds":3600}"#,
        answer: CREDENTIALS,
        resources: ROLE,
    },
    Call {
        key: "sts:AssumeRole#service",
        kind: Read,
        parameters: r#"{"roleArn":"arn:aws:iam::$account:role/$role","roleSessionName":"$session"}"#,
        answer: r#"{"credentials":{"accessKeyId":"$newkey","sessionToken":"$secrettext","expiration":"$expiration"}}"#,
        resources: ROLE,
    },
    Call {
        key: "sts:AssumeRoleWithSAML",
        kind: Read,
        parameters: r#"{"sAMLAssertionID":"_$uuid","roleSessionName":"$session","durationSeconds":43200,"roleArn":"arn:aws:iam::$account:role/aws-reserved/sso.amazonaws.com/$home/$role","principalArn":"arn:aws:iam::$account:saml-provider/AWSSSO_$ssoid_DO_NOT_DELETE"}"#,
        answer: CREDENTIALS,
        resources: ROLE,
    },
    Call {
        key: "sts:AssumeRoleWithWebIdentity",
        kind: Read,
        parameters: r#"{"roleArn":"arn:aws:iam::$account:role/$role","roleSessionName":"GitHubActions","durationSeconds":3600}"#,
        answer: CREDENTIALS,
        resources: ROLE,
    },
    read("sts:GetSessionToken", r#"{"durationSeconds":43200}"#),
    read("cloudtrail:DescribeTrails", r#"{"includeShadowTrails":true}"#),
    read("cloudtrail:GetTrailStatus", r#"{"name":"$trail"}"#),
    read("cloudtrail:GetEventSelectors", r#"{"trailName":"$trail"}"#),
    read(
        "cloudtrail:LookupEvents",
        r#"{"maxResults":50,"lookupAttributes":[{"attributeKey":"ReadOnly","attributeValue":"false"}]}"#,
    ),
    write("cloudtrail:StopLogging", r#"{"name":"$trail"}"#, ""),
    write("cloudtrail:StartLogging", r#"{"name":"$trail"}"#, ""),
    write("cloudtrail:DeleteTrail", r#"{"name":"$trail"}"#, ""),
    write(
        "cloudtrail:UpdateTrail",
        r#"{"name":"$trail","isMultiRegionTrail":false,"includeGlobalServiceEvents":false}"#,
        r#"{"name":"$trail","s3BucketName":"$logbucket","includeGlobalServiceEvents":false,"isMultiRegionTrail":false,"trailARN":"arn:aws:cloudtrail:$region:$account:trail/$trail","logFileValidationEnabled":false,"isOrganizationTrail":false}"#,
    ),
    write(
        "cloudtrail:PutEventSelectors",
        r#"{"trailName":"$trail","eventSelectors":[{"readWriteType":"ReadOnly","includeManagementEvents":false,"dataResources":[],"excludeManagementEventSources":[]}]}"#,
        r#"{"trailARN":"arn:aws:cloudtrail:$region:$account:trail/$trail","eventSelectors":[{"readWriteType":"ReadOnly","includeManagementEvents":false,"dataResources":[],"excludeManagementEventSources":[]}]}"#,
    ),
    read("guardduty:ListDetectors", r#"{"maxResults":"50"}"#),
    read("guardduty:GetDetector", r#"{"detectorId":"$hex"}"#),
    write("guardduty:UpdateDetector", r#"{"detectorId":"$hex","enable":false}"#, ""),
    write("guardduty:DeleteDetector", r#"{"detectorId":"$hex"}"#, ""),
    write("config:StopConfigurationRecorder", r#"{"configurationRecorderName":"default"}"#, ""),
    read("config:DescribeConfigurationRecorders", ""),
    read("securityhub:GetFindings", r#"{"Filters":{},"MaxResults":100}"#),
    read(
        "access-analyzer:ListFindings",
        r#"{"analyzerArn":"arn:aws:access-analyzer:$region:$account:analyzer/org","maxResults":50}"#,
    ),
    read("logs:DescribeLogGroups", r#"{"limit":50}"#),
    read(
        "logs:DescribeLogStreams",
        r#"{"logGroupName":"$loggroup","descending":true,"orderBy":"LastEventTime","limit":50}"#,
    ),
    read(
        "logs:GetLogEvents",
        r#"{"logGroupName":"$loggroup","logStreamName":"$uuid","startFromHead":false}"#,
    ),
    read(
        "logs:FilterLogEvents",
        r#"{"logGroupName":"$loggroup","limit":100,"interleaved":true,"startTime":$epoch}"#,
    ),
    read(
        "logs:StartQuery",
        r#"{"logGroupNames":["$loggroup"],"startTime":$epoch,"endTime":$epoch,"limit":1000,"queryString":"HIDDEN_DUE_TO_SECURITY_REASONS"}"#,
    ),
    read("logs:GetQueryResults", r#"{"queryId":"$uuid"}"#),
    write("logs:CreateLogStream", r#"{"logGroupName":"$loggroup","logStreamName":"$uuid"}"#, ""),
    write("logs:DeleteLogGroup", r#"{"logGroupName":"$loggroup"}"#, ""),
    read("monitoring:DescribeAlarms", r#"{"maxRecords":100}"#),
    read("monitoring:ListMetrics", r#"{"namespace":"AWS/EC2"}"#),
    read(
        "monitoring:GetMetricData",
        r#"{"metricDataQueries":[{"id":"m1","returnData":true}],"startTime":"$iso","endTime":"$iso"}"#,
    ),
    read("monitoring:ListDashboards", ""),
    write("monitoring:DeleteAlarms", r#"{"alarmNames":["root-login"]}"#, ""),
    read("lambda:ListFunctions20150331", r#"{"maxItems":50}"#),
    read("lambda:GetFunction20150331v2", r#"{"functionName":"$function"}"#),
    read("lambda:GetFunctionConfiguration20150331v2", r#"{"functionName":"$function"}"#),
    read("lambda:GetPolicy20150331v2", r#"{"functionName":"$function"}"#),
    write(
        "lambda:UpdateFunctionCode20150331v2",
        r#"{"functionName":"$function","publish":false,"dryRun":false}"#,
        r#"{"functionName":"$function","functionArn":"arn:aws:lambda:$region:$account:function:$function","runtime":"python3.13","handler":"app.handler","codeSize":48211,"timeout":30,"memorySize":512,"lastModified":"$iso","version":"$LATEST"}"#,
    ),
    write(
        "lambda:UpdateFunctionConfiguration20150331v2",
        r#"{"functionName":"$function","timeout":60}"#,
        r#"{"functionName":"$function","functionArn":"arn:aws:lambda:$region:$account:function:$function","timeout":60}"#,
    ),
    write(
        "lambda:PublishVersion20150331",
        r#"{"functionName":"$function"}"#,
        r#"{"functionName":"$function","version":"12"}"#,
    ),
    read("ecs:ListServices", r#"{"cluster":"$cluster","maxResults":10}"#),
    read("ecs:DescribeServices", r#"{"cluster":"$cluster","services":["$function"]}"#),
    read("ecs:DescribeTasks", r#"{"cluster":"$cluster","tasks":["$hex"]}"#),
    read("ecs:ListTasks", r#"{"cluster":"$cluster"}"#),
    write(
        "ecs:RegisterTaskDefinition",
        r#"{"family":"$function","networkMode":"awsvpc","cpu":"512","memory":"1024"}"#,
        r#"{"taskDefinition":{"taskDefinitionArn":"arn:aws:ecs:$region:$account:task-definition/$function:41","family":"$function","revision":41,"status":"ACTIVE"}}"#,
    ),
    write(
        "ecs:UpdateService",
        r#"{"cluster":"$cluster","service":"$function","forceNewDeployment":false}"#,
        r#"{"service":{"serviceName":"$function","status":"ACTIVE","desiredCount":2}}"#,
    ),
    read("ecr:GetAuthorizationToken", ""),
    read(
        "ecr:BatchGetImage",
        r#"{"registryId":"$account","repositoryName":"$function","imageIds":[{"imageTag":"latest"}]}"#,
    ),
    write(
        "ecr:PutImage",
        r#"{"registryId":"$account","repositoryName":"$function","imageTag":"$hex"}"#,
        r#"{"image":{"registryId":"$account","repositoryName":"$function"}}"#,
    ),
    read("cloudformation:DescribeStacks", r#"{"stackName":"$stack"}"#),
    read("cloudformation:ListStacks", ""),
    read("cloudformation:DescribeStackEvents", r#"{"stackName":"$stack"}"#),
    write(
        "cloudformation:CreateChangeSet",
        r#"{"stackName":"$stack","changeSetName":"deploy-$hex","changeSetType":"UPDATE","capabilities":["CAPABILITY_IAM"]}"#,
        r#"{"id":"arn:aws:cloudformation:$region:$account:changeSet/deploy-$hex/$uuid","stackId":"arn:aws:cloudformation:$region:$account:stack/$stack/$uuid"}"#,
    ),
    write("cloudformation:ExecuteChangeSet", r#"{"changeSetName":"deploy-$hex","stackName":"$stack"}"#, ""),
    read("rds:DescribeDBInstances", r#"{"maxRecords":100}"#),
    read("rds:DescribeDBClusters", r#"{"maxRecords":100,"includeShared":true}"#),
    read(
        "rds:DescribeDBSnapshots",
        r#"{"maxRecords":100,"includeShared":false,"includePublic":false,"dBInstanceIdentifier":"$database"}"#,
    ),
    write(
        "rds:CreateDBSnapshot",
        r#"{"dBSnapshotIdentifier":"$database-$hex","dBInstanceIdentifier":"$database"}"#,
        r#"{"dBSnapshotIdentifier":"$database-$hex","dBInstanceIdentifier":"$database","engine":"postgres","status":"creating","snapshotType":"manual"}"#,
    ),
    write(
        "rds:ModifyDBSnapshotAttribute",
        r#"{"dBSnapshotIdentifier":"$database-$hex","attributeName":"restore","valuesToAdd":["$stranger"]}"#,
        r#"{"dBSnapshotIdentifier":"$database-$hex","dBSnapshotAttributes":[{"attributeName":"restore","attributeValues":["$stranger"]}]}"#,
    ),
    read("secretsmanager:ListSecrets", r#"{"maxResults":100}"#),
    read("secretsmanager:DescribeSecret", r#"{"secretId":"$secret"}"#),
    read("secretsmanager:GetSecretValue", r#"{"secretId":"$secret"}"#),
    read("ssm:DescribeParameters", r#"{"maxResults":50}"#),
    read("ssm:GetParameter", r#"{"name":"$parameter","withDecryption":true}"#),
    read(
        "ssm:GetParametersByPath",
        r#"{"path":"/app/","recursive":true,"withDecryption":true,"maxResults":10}"#,
    ),
    read("ssm:DescribeInstanceInformation", r#"{"maxResults":50,"filters":[]}"#),
    write(
        "ssm:StartSession",
        r#"{"target":"$instance"}"#,
        r#"{"sessionId":"$session-$hex","tokenValue":"Value hidden due to security reasons.","streamUrl":"wss://ssmmessages.$region.amazonaws.com/v1/data-channel/$session-$hex"}"#,
    ),
    write("ssm:TerminateSession", r#"{"sessionId":"$session-$hex"}"#, r#"{"sessionId":"$session-$hex"}"#),
    write(
        "ssm:SendCommand",
        r#"{"instanceIds":["$instance"],"documentName":"AWS-RunShellScript","parameters":"HIDDEN_DUE_TO_SECURITY_REASONS","interactive":false}"#,
        r#"{"command":{"commandId":"$uuid","documentName":"AWS-RunShellScript","status":"Pending"}}"#,
    ),
    write(
        "ssm:UpdateInstanceInformation",
        r#"{"instanceId":"$self","agentVersion":"3.3.3050.0","agentStatus":"Active","platformType":"Linux","platformName":"Amazon Linux","platformVersion":"2023","iPAddress":"10.20.4.17","computerName":"ip-10-20-4-17.$region.compute.internal","agentName":"amazon-ssm-agent"}"#,
        "",
    ),
    Call {
        key: "kms:Decrypt",
        kind: Read,
        parameters: r#"{"encryptionContext":{"SecretARN":"arn:aws:secretsmanager:$region:$account:secret:$secret"},"encryptionAlgorithm":"SYMMETRIC_DEFAULT"}"#,
        answer: "",
        resources: KMS_KEY,
    },
    Call {
        key: "kms:GenerateDataKey",
        kind: Read,
        parameters: r#"{"keySpec":"AES_256","encryptionContext":{"aws:cloudtrail:arn":"arn:aws:cloudtrail:$region:$account:trail/$trail","aws:s3:arn":"arn:aws:s3:::$logbucket/AWSLogs/$account/CloudTrail/$region/"},"keyId":"arn:aws:kms:$region:$account:key/$kmskey"}"#,
        answer: "",
        resources: KMS_KEY,
    },
    read("kms:ListAliases", r#"{"limit":100}"#),
    write(
        "kms:DisableKey",
        r#"{"keyId":"$kmskey"}"#,
        r#"{"keyId":"arn:aws:kms:$region:$account:key/$kmskey"}"#,
    ),
    write(
        "athena:StartQueryExecution",
        r#"{"queryString":"***OMITTED***","queryExecutionContext":{"database":"$database"},"workGroup":"analysts","clientRequestToken":"$uuid"}"#,
        r#"{"queryExecutionId":"$uuid"}"#,
    ),
    read("athena:GetQueryExecution", r#"{"queryExecutionId":"$uuid"}"#),
    read("athena:GetQueryResults", r#"{"queryExecutionId":"$uuid","maxResults":100}"#),
    read("athena:ListWorkGroups", r#"{"maxResults":50}"#),
    read("glue:GetDatabases", r#"{"maxResults":100}"#),
    read("glue:GetTables", r#"{"databaseName":"$database","maxResults":100}"#),
    read("glue:GetPartitions", r#"{"databaseName":"$database","tableName":"$table"}"#),
    read("glue:GetJobRuns", r#"{"jobName":"$table-load","maxResults":25}"#),
    write("glue:StartJobRun", r#"{"jobName":"$table-load"}"#, r#"{"jobRunId":"jr_$hex"}"#),
    read("sagemaker:ListNotebookInstances", r#"{"maxResults":50}"#),
    write("sagemaker:CreatePresignedNotebookInstanceUrl", r#"{"notebookInstanceName":"$table-lab"}"#, ""),
    read("redshift-data:DescribeStatement", r#"{"id":"$uuid"}"#),
    write(
        "redshift-data:ExecuteStatement",
        r#"{"clusterIdentifier":"warehouse","database":"$database","sql":"***OMITTED***","withEvent":false}"#,
        r#"{"id":"$uuid","clusterIdentifier":"warehouse","database":"$database"}"#,
    ),
    read(
        "ce:GetCostAndUsage",
        r#"{"timePeriod":{"start":"$date","end":"$date"},"granularity":"DAILY","metrics":["UnblendedCost"]}"#,
    ),
    read("ce:GetCostForecast", r#"{"metric":"UNBLENDED_COST","granularity":"MONTHLY"}"#),
    read("organizations:ListAccounts", r#"{"maxResults":20}"#),
    read("organizations:DescribeOrganization", ""),
    read(
        "health:DescribeEventAggregates",
        r#"{"filter":{"eventStatusCodes":["open","upcoming"]},"aggregateField":"eventTypeCategory"}"#,
    ),
    read("elasticloadbalancing:DescribeLoadBalancers", r#"{"pageSize":400}"#),
    read(
        "elasticloadbalancing:DescribeTargetHealth",
        r#"{"targetGroupArn":"arn:aws:elasticloadbalancing:$region:$account:targetgroup/$function/$hex"}"#,
    ),
    read("autoscaling:DescribeAutoScalingGroups", r#"{"maxRecords":100}"#),
    read("dynamodb:ListTables", r#"{"limit":100}"#),
    read("dynamodb:DescribeTable", r#"{"tableName":"$table"}"#),
    read("sns:ListTopics", ""),
    read("sqs:ListQueues", ""),
    read("route53:ListHostedZones", r#"{"maxItems":100}"#),
    read("ses:GetSendQuota", ""),
    read("ses:ListIdentities", r#"{"maxItems":1000}"#),
    read("servicequotas:ListServiceQuotas", r#"{"serviceCode":"ec2","maxResults":100}"#),
    write(
        "servicequotas:RequestServiceQuotaIncrease",
        r#"{"serviceCode":"ec2","quotaCode":"L-1216C47A","desiredValue":512}"#,
        r#"{"requestedQuota":{"id":"$hex","status":"PENDING"}}"#,
    ),
];

/// The call of a key of [`CALLS`].
pub(super) fn call(key: &str) -> &'static Call {
    CALLS.iter().find(|call| call.key == key).expect("the tables name only calls of the list")
}
