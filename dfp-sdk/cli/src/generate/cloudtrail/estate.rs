//! What the company has in the cloud: accounts, and what is in them; who may go where.

use super::super::company::{Company, Person};
use super::super::dice::{Dice, HEX, Kind, Purpose, key, scatter, token};
use super::super::run::World;
use super::super::tables::Platform;
use super::work::{ACCOUNTS, ANCHOR, JOBS, Job, PRODUCTION, REGIONS, TASKS};

/// Letters of access keys and principals.
const BASE32: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/// Names of things, the commonest first.
static BUCKETS: &[&str] = &[
    "app-uploads",
    "reports",
    "artifacts",
    "static-assets",
    "events-raw",
    "exports",
    "customer-files",
    "tf-state",
];
static PREFIXES: &[&str] =
    &["daily", "orders", "invoices", "tmp", "images", "models", "events", "exports/full"];
static ENDINGS: &[&str] = &["parquet", "json.gz", "csv", "pdf", "png", "zip"];
static FUNCTIONS: &[&str] = &[
    "orders-api",
    "billing-worker",
    "mail-sender",
    "image-resizer",
    "search-indexer",
    "session-cleaner",
    "webhook-relay",
    "report-builder",
    "price-feed",
    "stock-sync",
];
static ROLES: &[&str] = &[
    "orders-api",
    "billing-worker",
    "ecs-task-execution",
    "github-deploy",
    "etl-nightly",
    "ops-breakglass",
    "ReadOnlyAccess",
    "cross-account-audit",
];
static SECRETS: &[&str] = &["orders/db", "billing/stripe", "search/api-key", "mail/smtp", "warehouse/loader"];
static TABLES: &[&str] = &["orders", "customers", "sessions", "events", "prices", "stock"];
static TYPES: &[&str] = &["t3.micro", "t3.medium", "m7g.large", "c7i.large", "r7g.xlarge"];
static BIG_TYPES: &[&str] = &["c7i.24xlarge", "g5.12xlarge", "p4d.24xlarge", "c6a.48xlarge"];
static USERS: &[&str] =
    &["svc-backup", "grafana-reader", "legacy-uploader", "ci-legacy", "reporting", "vendor-sftp"];

/// An access key or a principal: the kind's mark and letters that belong to its owner.
pub(super) fn identifier(mark: &str, owner: &str) -> String {
    let length = if matches!(mark, "AKIA" | "ASIA") { 16 } else { 17 };
    format!("{mark}{}", token(BASE32, length, key(owner)))
}

/// The cloud side of the company.
pub(super) struct Estate {
    /// Account numbers, by the places in [`ACCOUNTS`].
    pub(super) accounts: Vec<String>,
    /// An account that is somebody else's.
    pub(super) stranger: String,
    pub(super) supplier: String,
    pub(super) people: Vec<Access>,
}

/// What a person may and does do.
pub(super) struct Access {
    /// The department's way of working; for those who have none, the way of whoever pays.
    pub(super) job: &'static Job,
    pub(super) active: bool,
    /// How busy, around 1.
    pub(super) eagerness: f64,
    /// Account, role, weight.
    pub(super) grants: Vec<(usize, &'static str, u32)>,
    /// Place in [`TASKS`], weight, first and last day.
    pub(super) habits: Vec<(usize, u32, i32, i32)>,
    /// The name of a user of their own, from the times before single sign-on, with a key that never changes.
    pub(super) user: Option<String>,
    /// The operating system as tools name it.
    pub(super) system: &'static str,
    /// Days that tools are behind.
    pub(super) lag: i32,
}

/// Whether the person works in the cloud at all.
pub(super) fn works_there(person: &Person) -> bool {
    job_of(person).is_some_and(|job| (scatter(person.id.0 as u64) % 1000) as f64 / 1000.0 < job.share)
}

/// Whether the person builds or runs things there.
pub(super) fn builds_there(person: &Person) -> bool {
    works_there(person) && job_of(person).is_some_and(|job| job.tasks > 3.0)
}

fn job_of(person: &Person) -> Option<&'static Job> {
    JOBS.iter().find(|job| job.department == person.department.name)
}

impl Estate {
    pub(super) fn new(world: &World) -> Self {
        let company = &world.company;
        let people = company.people.iter().map(|person| Access::new(world, person)).collect();
        let accounts = ACCOUNTS.iter().enumerate();
        Self {
            accounts: accounts.map(|(place, name)| account(company, name, place == PRODUCTION)).collect(),
            stranger: account(company, "stranger", false),
            supplier: account(company, "supplier", false),
            people,
        }
    }

    /// What a gap in a call's texts is filled with; `None` for gaps that belong to the caller.
    pub(super) fn thing(&self, name: &str, account: usize, region: usize, dice: &mut Dice) -> Option<String> {
        let number = &self.accounts[account];
        let mut pick = |names: &[&'static str]| {
            let part = dice.unit();
            names[(part * part * names.len() as f64) as usize]
        };
        let text = match name {
            "account" => number.clone(),
            "region" => REGIONS[region].name.to_owned(),
            "regiona" => format!("{}a", REGIONS[region].name),
            "home" => REGIONS[super::work::HOME].name.to_owned(),
            "stranger" => self.stranger.clone(),
            "bucket" => format!("tb-{}-{}", ACCOUNTS[account], pick(BUCKETS)),
            "logbucket" => "tb-security-cloudtrail".to_owned(),
            "trail" => "tb-org-trail".to_owned(),
            "prefix" => pick(PREFIXES).to_owned(),
            "key" => {
                let (prefix, ending) = (pick(PREFIXES), pick(ENDINGS));
                format!("{prefix}/part-{}.{ending}", token(HEX, 8, dice.bits()))
            }
            "function" => pick(FUNCTIONS).to_owned(),
            "loggroup" => format!("/aws/lambda/{}", pick(FUNCTIONS)),
            "stack" => format!("{}-{}", ACCOUNTS[account], pick(FUNCTIONS)),
            "cluster" => format!("{}-main", ACCOUNTS[account]),
            "role" => pick(ROLES).to_owned(),
            "policy" => format!("{}-access", pick(FUNCTIONS)),
            "secret" => pick(SECRETS).to_owned(),
            "parameter" => format!("/app/{}", pick(SECRETS)),
            "table" => pick(TABLES).to_owned(),
            "database" => format!("{}-db", pick(TABLES)),
            "type" => pick(TYPES).to_owned(),
            "bigtype" => pick(BIG_TYPES).to_owned(),
            "user" => pick(USERS).to_owned(),
            "newuser" => format!("{}-{}", pick(USERS), token(HEX, 2, dice.bits())),
            "keypair" => format!("{}-key", pick(FUNCTIONS)),
            "instance" => format!("i-0{}", token(HEX, 16, scatter(account as u64) ^ dice.below(14) as u64)),
            "volume" => format!("vol-0{}", token(HEX, 16, scatter(account as u64) ^ dice.below(20) as u64)),
            "group" => format!("sg-0{}", token(HEX, 16, scatter(account as u64) ^ dice.below(9) as u64)),
            "image" => format!("ami-0{}", token(HEX, 16, dice.below(5) as u64)),
            "kmskey" => company_uuid(number, dice.below(3) as u64),
            "snapshot" => format!("snap-0{}", token(HEX, 16, dice.bits())),
            "newinstance" => format!("i-0{}", token(HEX, 16, dice.bits())),
            "newkey" => format!("ASIA{}", token(BASE32, 16, dice.bits())),
            "id" => token(BASE32, 16, dice.bits()),
            "ssoid" => token(HEX, 16, key(number)),
            "hex" => token(HEX, 16, dice.bits()),
            "secrettext" => {
                token(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/", 88, dice.bits())
            }
            "uuid" | "request" => dice.guid().to_string(),
            _ => return None,
        };
        Some(text)
    }
}

fn company_uuid(number: &str, index: u64) -> String {
    let start = key(number) ^ index;
    super::super::dice::Guid::new(scatter(start), scatter(scatter(start))).to_string()
}

/// Twelve digits; `early` ones begin with a zero.
fn account(company: &Company, name: &str, early: bool) -> String {
    let number = company.identifier(name).0 as u64;
    if early {
        format!("0{:011}", number % 100_000_000_000)
    } else {
        format!("{:012}", number % 1_000_000_000_000)
    }
}

impl Access {
    fn new(world: &World, person: &Person) -> Self {
        let dice = &mut Dice::new(world.seed, Purpose::Actor(Kind::CloudTrail, person.index));
        let job = job_of(person).unwrap_or(&JOBS[0]);
        // The first is everybody's.
        let granted = job.grants.iter().enumerate().filter(|(place, _)| *place == 0 || dice.chance(0.6));
        let grants = granted.map(|(_, grant)| *grant).collect();
        let habits = habits(job, world.days, dice);
        let local = person.upn.split('@').next().unwrap_or_default();
        Self {
            job,
            active: works_there(person),
            eagerness: dice.real(0.5, 1.6),
            grants,
            habits,
            user: dice.chance(0.2).then(|| local.to_owned()),
            system: system(person, dice),
            lag: dice.days(0, 60),
        }
    }
}

/// Most of the department's tasks; some only for a while.
fn habits(job: &Job, days: i32, dice: &mut Dice) -> Vec<(usize, u32, i32, i32)> {
    let mut habits = Vec::new();
    for (place, (name, weight)) in job.habits.iter().enumerate() {
        let task =
            TASKS.iter().position(|task| task.name == *name).expect("jobs name only tasks of the list");
        let weight = (f64::from(*weight) * dice.real(0.3, 1.9)).max(1.0) as u32;
        if place == 0 || dice.chance(0.6) {
            habits.push((task, weight, i32::MIN, i32::MAX));
        } else if dice.chance(0.4) {
            let since = dice.days(-10, days);
            habits.push((task, weight, since, since + dice.days(5, 40)));
        }
    }
    habits
}

fn system(person: &Person, dice: &mut Dice) -> &'static str {
    match person.devices[0].platform {
        Platform::Mac => "os/macos#25.2.0 md/arch#arm64",
        _ if dice.chance(0.5) => "os/linux#6.6.87.2-microsoft-standard-WSL2 md/arch#x86_64",
        _ => "os/windows#11 md/arch#amd64",
    }
}

/// The minor version of a tool on a day.
pub(super) fn minor(base: i32, cadence: i32, today: i32, lag: i32) -> i32 {
    (base + (today - lag - ANCHOR).div_euclid(cadence)).max(1)
}
