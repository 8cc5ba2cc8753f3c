//! Attacks on the cloud, labelled.

use super::super::calendar::{MINUTE, SECOND, Ticks, day_of};
use super::super::device::{Device, Program};
use super::super::dice::{HEX, key, token};
use super::super::network::Origin;
use super::super::plot::{Intensity, Loud, Mimicry, Plot, Quiet, Scenario};
use super::super::run::Event;
use super::CloudTrail;
use super::behaviour::{Calls, Seat};
use super::calls::call;
use super::estate::{builds_there, works_there};
use super::record::{Assumed, Ending, Session, assumed, console_user, user};
use super::work::{GLOBAL, HOME, REGIONS, TASKS, Tool};

const fn scenario(
    name: &'static str,
    stage: for<'c, 'o> fn(&mut Plot<'c, 'o, CloudTrail>, Intensity),
) -> Scenario<CloudTrail> {
    Scenario { name, fits: builds_there, stage }
}

/// Every scenario.
pub(super) static SCENARIOS: &[Scenario<CloudTrail>] = &[
    scenario("key-theft", key_theft),
    scenario("reconnaissance", reconnaissance),
    scenario("privilege-change", privilege_change),
    scenario("logging-disabled", logging_disabled),
    scenario("mass-data-access", mass_data_access),
    scenario("crypto-mining", crypto_mining),
    Scenario { name: "console-login", fits: works_there, stage: console_login },
];

/// What somebody tries who wants to know what a key opens.
static ENUMERATION: &[&str] = &[
    "iam:GetUser",
    "iam:ListUsers",
    "iam:ListRoles",
    "iam:ListAttachedUserPolicies",
    "iam:ListUserPolicies",
    "iam:ListGroupsForUser",
    "iam:GetAccountSummary",
    "iam:GetAccountAuthorizationDetails",
    "iam:ListAccountAliases",
    "iam:ListPolicies",
    "iam:ListMFADevices",
    "s3:ListBuckets",
    "s3:GetBucketPolicy",
    "s3:GetBucketAcl",
    "s3:GetBucketLogging",
    "ec2:DescribeInstances",
    "ec2:DescribeRegions",
    "ec2:DescribeSecurityGroups",
    "ec2:DescribeSnapshots",
    "ec2:DescribeVpcs",
    "ec2:DescribeKeyPairs",
    "ec2:DescribeAccountAttributes",
    "ec2:DescribeInstanceAttribute",
    "ec2:GetPasswordData",
    "ec2:GetConsoleScreenshot",
    "rds:DescribeDBInstances",
    "rds:DescribeDBSnapshots",
    "lambda:ListFunctions20150331",
    "secretsmanager:ListSecrets",
    "ssm:DescribeParameters",
    "dynamodb:ListTables",
    "sns:ListTopics",
    "sqs:ListQueues",
    "route53:ListHostedZones",
    "kms:ListAliases",
    "ses:GetSendQuota",
    "ses:ListIdentities",
    "organizations:ListAccounts",
    "organizations:DescribeOrganization",
    "cloudtrail:DescribeTrails",
    "cloudtrail:GetTrailStatus",
    "guardduty:ListDetectors",
    "config:DescribeConfigurationRecorders",
    "cloudformation:ListStacks",
    "logs:DescribeLogGroups",
    "monitoring:DescribeAlarms",
    "autoscaling:DescribeAutoScalingGroups",
    "elasticloadbalancing:DescribeLoadBalancers",
    "servicequotas:ListServiceQuotas",
];

/// Somebody at work with a session.
struct Hand {
    session: Session,
    seat: Seat,
    tool: Tool,
}

impl Plot<'_, '_, CloudTrail> {
    /// The victim's long-lived key, or a session of theirs that was copied.
    fn credentials(&mut self, at: Ticks) -> Session {
        let access = &self.log.estate.people[self.person.index];
        let (account, role, _) = access.grants[0];
        match &access.user {
            Some(name) => user(&self.log.estate, account, name),
            None => self.role_session(at, (account, role)),
        }
    }

    fn role_session(&self, at: Ticks, (account, role): (usize, &str)) -> Session {
        let set = format!("AWSReservedSSO_{role}_{}", token(HEX, 16, key(role)));
        let path = format!("aws-reserved/sso.amazonaws.com/{}/", REGIONS[HOME].name);
        let since = self.world.calendar.seconds(at - 40 * MINUTE);
        let name = &self.person.upn;
        let console = false;
        let who = Assumed {
            account,
            path: &path,
            role: &set,
            name,
            since: &since,
            mfa: false,
            console,
            machine: false,
        };
        Session { role: role.to_owned(), ..assumed(&self.log.estate, &who) }
    }

    /// A stranger with the victim's credentials.
    fn thief(&mut self, at: Ticks, mimicry: Mimicry) -> Hand {
        let intruder = self.intruder(mimicry);
        let session = self.credentials(at);
        let (tool, system) = match mimicry {
            Mimicry::Nothing => (Tool::Scanner, "os/linux#6.1.0-kali9 md/arch#x86_64"),
            _ => (Tool::CommandLine, self.log.estate.people[self.person.index].system),
        };
        let seat = self.seat(&intruder.device, &intruder.origin, at, system);
        Hand { session, seat, tool }
    }

    /// The victim, gone bad, at the usual machine.
    fn insider(&mut self, day: i32, at: Ticks, tool: Tool) -> Hand {
        let session = self.credentials(at);
        let system = self.log.estate.people[self.person.index].system;
        let seat = match self.own_setting(day, at) {
            Some((device, origin)) => self.seat(device, &origin, at, system),
            None => self.thief(at, Mimicry::Country).seat,
        };
        Hand { session, seat, tool }
    }

    fn seat(&mut self, device: &Device, origin: &Origin, at: Ticks, system: &str) -> Seat {
        let day = day_of(at);
        let browser = device.browser(&mut self.dice);
        let client = device.client(Program::Browser(browser), day, self.world.calendar.epoch_day(day));
        let lag = self.log.estate.people[self.person.index].lag;
        Seat { address: origin.address.clone(), browser: client.agent, system: system.to_owned(), lag }
    }

    /// Thief or insider, as the intensity has it: the quiet ones work from inside.
    fn hand(&mut self, day: i32, at: Ticks, intensity: Intensity) -> Hand {
        match intensity {
            Loud => self.thief(at, Mimicry::Nothing),
            Quiet => self.insider(day, at, Tool::CommandLine),
            Intensity::Medium => self.thief(at, Mimicry::Machine),
        }
    }

    fn act(&mut self, at: Ticks, name: &str, hand: &Hand, region: usize, ending: Ending) {
        let mut out = Vec::new();
        let mut calls = Calls { log: self.log, out: &mut out };
        calls.make(at, call(name), (&hand.session, &hand.seat, hand.tool, region), ending, &mut self.dice);
        self.keep(out, &hand.session.name);
    }

    fn keep(&mut self, out: Vec<Event>, user: &str) {
        for event in out {
            self.add(event, user);
        }
    }

    /// `count` calls of the list within `hours`, refused so often.
    fn sweep(&mut self, start: Ticks, hours: f64, count: usize, names: &[&str], hand: &Hand, refused: f64) {
        for at in self.spread(start, hours, count) {
            let name = self.dice.pick(names);
            let ending = if self.dice.chance(refused) { Ending::Denied } else { Ending::Done };
            self.act(at, name, hand, HOME, ending);
        }
    }

    /// Some of what the victim does every day.
    fn everyday(&mut self, start: Ticks, hours: f64, count: usize, hand: &Hand) {
        let access = &self.log.estate.people[self.person.index];
        for at in self.spread(start, hours, count) {
            let habit = self.dice.weighted(access.habits.iter().map(|(_, weight, ..)| *weight));
            let calls = TASKS[access.habits[habit].0].calls;
            let (name, _) = self.dice.pick(calls);
            self.act(at, name, hand, HOME, Ending::Done);
        }
    }

    /// Calls in order, minutes apart.
    fn chain(&mut self, start: Ticks, names: &[&str], hand: &Hand, most_seconds: f64) -> Ticks {
        let mut at = start;
        for name in names {
            at += (self.dice.real(2.0, most_seconds) * SECOND as f64) as Ticks;
            self.act(at, name, hand, HOME, Ending::Done);
        }
        at
    }

    /// When an attack of that intensity begins.
    fn beginning(&mut self, day: i32, intensity: Intensity) -> Ticks {
        let hour = match intensity {
            Loud => self.dice.real(0.0, 23.0),
            Quiet => self.working_hour(0.35),
            Intensity::Medium => self.dice.real(15.0, 22.0),
        };
        self.local(day, hour)
    }
}

/// A key has leaked: who is this, what does it open, what is worth having.
fn key_theft(plot: &mut Plot<'_, '_, CloudTrail>, intensity: Intensity) {
    let day = plot.day(1);
    let start = plot.beginning(day, intensity);
    let mimicry = intensity.of(Mimicry::Nothing, Mimicry::Machine, Mimicry::Country);
    let hand = plot.thief(start, mimicry);
    plot.act(start, "sts:GetCallerIdentity", &hand, HOME, Ending::Done);
    let (hours, refused) = intensity.of((0.4, 0.45), (2.0, 0.3), (4.0, 0.15));
    let looks = plot.count(intensity.of((30, 45), (10, 16), (3, 5)));
    plot.sweep(start + MINUTE, hours, looks, ENUMERATION, &hand, refused);
    let loot = ["secretsmanager:GetSecretValue", "ssm:GetParametersByPath", "s3:GetObject", "s3:ListObjects"];
    let takes = plot.count(intensity.of((8, 14), (4, 8), (2, 4)));
    plot.sweep(start + 5 * MINUTE, hours, takes, &loot, &hand, refused / 2.0);
    let usual = plot.count(intensity.of((0, 2), (4, 8), (4, 7)));
    plot.everyday(start, hours, usual, &hand);
}

/// Lists and describes whatever there is.
fn reconnaissance(plot: &mut Plot<'_, '_, CloudTrail>, intensity: Intensity) {
    let day = plot.day(1);
    let start = plot.beginning(day, intensity);
    let hand = match intensity {
        Loud => plot.insider(day, start, Tool::Scanner),
        Quiet => plot.insider(day, start, Tool::CommandLine),
        Intensity::Medium => plot.thief(start, Mimicry::Country),
    };
    let count = plot.count(intensity.of((80, 120), (30, 45), (12, 18)));
    let (hours, refused) = intensity.of((0.2, 0.5), (1.0, 0.35), (5.0, 0.2));
    plot.sweep(start, hours, count, ENUMERATION, &hand, refused);
}

/// Makes an account, a key or a role more powerful.
fn privilege_change(plot: &mut Plot<'_, '_, CloudTrail>, intensity: Intensity) {
    let day = plot.day(1);
    let start = plot.beginning(day, intensity);
    let hand = plot.hand(day, start, intensity);
    let names: &[&str] = intensity.of(
        &[
            "sts:GetCallerIdentity",
            "iam:ListUsers",
            "iam:CreateUser",
            "iam:AttachUserPolicy",
            "iam:CreateAccessKey",
            "iam:CreateLoginProfile",
            "iam:UpdateAssumeRolePolicy",
            "iam:PutUserPolicy",
            "iam:AttachRolePolicy#admin",
        ],
        &[
            "iam:ListRoles",
            "sts:AssumeRole",
            "sts:GetCallerIdentity",
            "sts:AssumeRole",
            "iam:AttachRolePolicy#admin",
            "iam:CreateAccessKey",
            "iam:GetRole",
        ],
        &["iam:GetRole", "iam:UpdateAssumeRolePolicy", "iam:CreateAccessKey", "sts:AssumeRole"],
    );
    if intensity == Loud {
        for at in plot.spread(start - 3 * MINUTE, 0.05, 4) {
            plot.act(at, "iam:PutUserPolicy", &hand, GLOBAL, Ending::Denied);
        }
    }
    let at = plot.chain(start, names, &hand, intensity.of(20.0, 240.0, 2400.0));
    let usual = plot.count(intensity.of((0, 3), (2, 6), (2, 5)));
    plot.everyday(at, 1.0, usual, &hand);
}

/// Switches off what would tell.
fn logging_disabled(plot: &mut Plot<'_, '_, CloudTrail>, intensity: Intensity) {
    let day = plot.day(1);
    let start = plot.beginning(day, intensity);
    let hand = plot.hand(day, start, intensity);
    let names: &[&str] = intensity.of(
        &[
            "cloudtrail:DescribeTrails",
            "cloudtrail:GetTrailStatus",
            "cloudtrail:StopLogging",
            "cloudtrail:DeleteTrail",
            "guardduty:ListDetectors",
            "guardduty:DeleteDetector",
            "config:StopConfigurationRecorder",
            "logs:DeleteLogGroup",
            "monitoring:DeleteAlarms",
        ],
        &[
            "cloudtrail:DescribeTrails",
            "cloudtrail:GetEventSelectors",
            "cloudtrail:UpdateTrail",
            "cloudtrail:PutEventSelectors",
            "guardduty:UpdateDetector",
        ],
        &["cloudtrail:GetEventSelectors", "cloudtrail:PutEventSelectors", "s3:PutBucketLifecycle"],
    );
    plot.chain(start, names, &hand, intensity.of(15.0, 200.0, 1800.0));
}

/// Takes what is stored: object by object, or a whole disk shared with a stranger.
fn mass_data_access(plot: &mut Plot<'_, '_, CloudTrail>, intensity: Intensity) {
    let day = plot.day(1);
    let start = plot.beginning(day, intensity);
    let hand = plot.hand(day, start, intensity);
    let count = plot.count(intensity.of((140, 220), (50, 80), (14, 22)));
    let hours = intensity.of(0.4, 2.5, 6.0);
    plot.chain(start - 2 * MINUTE, &["s3:ListBuckets", "s3:ListObjects", "s3:ListObjects"], &hand, 20.0);
    plot.sweep(
        start,
        hours,
        count,
        &["s3:GetObject", "s3:GetObject", "s3:GetObject", "s3:ListObjects"],
        &hand,
        0.02,
    );
    let share: &[&str] = intensity.of(
        &["s3:DeleteBucketPublicAccessBlock", "s3:PutBucketPolicy"],
        &["ec2:DescribeSnapshots", "ec2:CreateSnapshot", "ec2:ModifySnapshotAttribute"],
        &["rds:CreateDBSnapshot", "rds:ModifyDBSnapshotAttribute"],
    );
    plot.chain(start + 30 * MINUTE, share, &hand, intensity.of(20.0, 300.0, 900.0));
}

/// Big machines where nobody looks.
fn crypto_mining(plot: &mut Plot<'_, '_, CloudTrail>, intensity: Intensity) {
    let day = plot.day(1);
    let start = plot.beginning(day, intensity);
    let hand = plot.hand(day, start, intensity);
    let unused: Vec<usize> =
        (0..REGIONS.len()).filter(|region| REGIONS[*region].used_by.is_empty()).collect();
    let places = intensity.of(unused.len(), 1, 1);
    let regions = plot.dice.sample(unused.len(), places).into_iter().map(|place| unused[place]);
    let mut at = start;
    for region in if intensity == Quiet { vec![HOME] } else { regions.collect() } {
        let before: &[&str] = intensity.of(
            &[
                "ec2:DescribeRegions",
                "ec2:DescribeImages",
                "ec2:CreateKeyPair",
                "ec2:CreateSecurityGroup",
                "ec2:AuthorizeSecurityGroupIngress#open",
            ],
            &["servicequotas:ListServiceQuotas", "ec2:DescribeImages", "ec2:CreateSecurityGroup"],
            &["ec2:DescribeImages"],
        );
        for name in before {
            at += plot.dice.int(3 * SECOND, 40 * SECOND);
            plot.act(at, name, &hand, region, Ending::Done);
        }
        for _ in 0..plot.count(intensity.of((4, 8), (4, 6), (2, 3))) {
            at += plot.dice.int(5 * SECOND, intensity.of(20, 120, 1500) * SECOND);
            let ending = if plot.dice.chance(0.35) { Ending::Denied } else { Ending::Done };
            plot.act(at, "ec2:RunInstances#mining", &hand, region, ending);
        }
        plot.act(at + 30 * SECOND, "ec2:DescribeInstances", &hand, region, Ending::Done);
    }
}

/// A password alone opens the console, from somewhere else.
fn console_login(plot: &mut Plot<'_, '_, CloudTrail>, intensity: Intensity) {
    let day = plot.day(1);
    let start = plot.beginning(day, intensity);
    let intruder = plot.intruder(intensity.of(Mimicry::Nothing, Mimicry::Machine, Mimicry::Country));
    let seat = plot.seat(&intruder.device, &intruder.origin, start, "");
    let access = &plot.log.estate.people[plot.person.index];
    let name = access
        .user
        .clone()
        .unwrap_or_else(|| plot.person.upn.split('@').next().unwrap_or_default().to_owned());
    let since = plot.world.calendar.seconds(start);
    let session = console_user(&plot.log.estate, access.grants[0].0, &name, &since, false);
    let guesses = plot.count(intensity.of((6, 14), (1, 3), (0, 0)));
    let mut out = Vec::new();
    let mut calls = Calls { log: plot.log, out: &mut out };
    for guess in 0..guesses {
        let at = start - (guess as Ticks + 1) * 25 * SECOND;
        calls.log_in(at, &session, &seat, (Some(false), true), &mut plot.dice);
    }
    calls.log_in(start, &session, &seat, (Some(false), false), &mut plot.dice);
    plot.keep(out, &name);
    let hand = Hand { session, seat, tool: Tool::Console };
    let looks = plot.count(intensity.of((15, 30), (5, 9), (1, 3)));
    plot.sweep(start + 10 * SECOND, intensity.of(0.5, 1.0, 2.0), looks, ENUMERATION, &hand, 0.25);
    let usual = plot.count(intensity.of((2, 4), (6, 10), (4, 8)));
    plot.everyday(start + MINUTE, intensity.of(0.5, 1.5, 3.0), usual, &hand);
}
