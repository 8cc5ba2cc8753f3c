//! The company: its people with their habits and devices, and its service accounts.

use std::collections::HashMap;

use super::device::{ALWAYS, Device, second_factor};
use super::dice::{Dice, Guid, Purpose, scatter};
use super::tables::{
    ACTIVE_SYNC, APPS, Browser, CAMPAIGNS, CITIES, COMMON_APPS, City, Clockwork, DEPARTMENTS, DESTINATIONS,
    Department, IMAP, Legacy, NAMES, OFFICES, OPTIONAL_APPS, Office, Platform, RESORTS, SERVICES, app, town,
};

const DOMAIN: &str = "tarnbridge.example";

/// The company.
pub(super) struct Company {
    pub(super) tenant: Guid,
    pub(super) people: Vec<Person>,
    pub(super) services: Vec<Service>,
}

/// An app that a person uses.
pub(super) struct Habit {
    pub(super) app: usize,
    pub(super) weight: u32,
    pub(super) since: i32,
    pub(super) until: i32,
}

/// Days in another town: on business, or on leave when `work` is false.
pub(super) struct Stay {
    pub(super) since: i32,
    pub(super) until: i32,
    pub(super) city: &'static City,
    pub(super) work: bool,
}

/// When and how much a person works.
pub(super) struct Rhythm {
    /// The chance of working, from Monday to Sunday.
    pub(super) works: [f64; 7],
    /// How much happens on the weekday, around 1.
    pub(super) pace: [f64; 7],
    /// The chance of working from home.
    pub(super) home: [f64; 7],
    /// Start of work in local minutes, how much it varies, length.
    pub(super) start: f64,
    pub(super) spread: f64,
    pub(super) length: f64,
    /// Minutes that every other week starts later.
    pub(super) rotation: f64,
    /// The chance that a visit is made in the evening.
    pub(super) evening: f64,
    /// Records on an ordinary day.
    pub(super) volume: f64,
    /// Whether the person is hardly ever there.
    pub(super) rare: bool,
}

/// A member of staff.
pub(super) struct Person {
    pub(super) index: usize,
    pub(super) id: Guid,
    pub(super) upn: String,
    pub(super) display: String,
    pub(super) department: &'static Department,
    pub(super) office: &'static Office,
    pub(super) home: &'static City,
    pub(super) rhythm: Rhythm,
    pub(super) habits: Vec<Habit>,
    pub(super) devices: Vec<Device>,
    pub(super) stays: Vec<Stay>,
    /// First and last day in the company.
    pub(super) joined: i32,
    pub(super) left: i32,
    /// Chance of a wrong password.
    pub(super) typos: f64,
    /// Chance of using the VPN away from the office.
    pub(super) vpn: f64,
    /// The day of the span, or before it, that the password expires; and every ninety days.
    pub(super) expiry: i32,
    pub(super) factor: &'static str,
    /// A mail program that predates modern sign-in.
    pub(super) legacy: Option<&'static Legacy>,
}

/// A service account.
pub(super) struct Service {
    pub(super) index: usize,
    pub(super) id: Guid,
    pub(super) upn: String,
    pub(super) display: String,
    pub(super) clockwork: &'static Clockwork,
    pub(super) office: &'static Office,
    pub(super) device: Device,
}

impl Company {
    pub(super) fn new(seed: u64, users: usize, days: i32) -> Self {
        let mut dice = Dice::new(seed, Purpose::Company);
        let mut names = Names::default();
        let people = (0..users).map(|index| Person::new(seed, index, days, &mut names)).collect();
        let services = (0..2 + users / 24).map(|index| Service::new(&mut dice, index, days)).collect();
        Self { tenant: dice.guid(), people, services }
    }

    /// The identifier of something that the company has one of for each name.
    pub(super) fn identifier(&self, name: &str) -> Guid {
        let half = |start: u64| name.bytes().fold(start, |sum, byte| scatter(sum ^ u64::from(byte)));
        let [high, low] = [self.tenant.0 as u64, (self.tenant.0 >> 64) as u64].map(half);
        Guid::new(high, low)
    }
}

impl Service {
    fn new(dice: &mut Dice, index: usize, days: i32) -> Self {
        let clockwork = &SERVICES[index % SERVICES.len()];
        let copy = index / SERVICES.len() + 1;
        Self {
            index,
            id: dice.guid(),
            upn: format!("{}{copy}@{DOMAIN}", clockwork.name),
            display: format!("{} {copy}", clockwork.display),
            clockwork,
            office: &OFFICES[0],
            device: Device::unknown(dice, Platform::Windows, Browser::Edge, days),
        }
    }
}

impl Person {
    fn new(seed: u64, index: usize, days: i32, names: &mut Names) -> Self {
        let dice = &mut Dice::new(seed, Purpose::Person(index));
        let office = &OFFICES[dice.weighted(OFFICES.iter().map(|office| office.weight))];
        let department = some_department(dice);
        let (given, family, local) = names.draw(dice, office);
        let (joined, left) = membership(dice, days);
        let home = town(dice.pick(office.homes));
        Self {
            index,
            id: dice.guid(),
            upn: format!("{local}@{DOMAIN}"),
            display: if office.city == "Lyon" {
                format!("{} {given}", family.to_uppercase())
            } else {
                format!("{given} {family}")
            },
            department,
            office,
            home,
            rhythm: rhythm(dice, department),
            habits: habits(dice, department, days),
            devices: devices(dice, department, given, days),
            stays: stays(dice, department, home.country, days),
            joined,
            left,
            typos: dice.real(0.004, 0.035),
            vpn: if dice.chance(0.45) { dice.real(0.2, 0.95) } else { 0.0 },
            expiry: dice.days(0, 89),
            factor: second_factor(dice),
            legacy: dice.chance(0.08).then(|| dice.pick(&[&ACTIVE_SYNC, &ACTIVE_SYNC, &IMAP])),
        }
    }

    pub(super) fn employed(&self, day: i32) -> bool {
        (self.joined..=self.left).contains(&day)
    }

    /// The apps that the person uses on a day.
    pub(super) fn habits_on(&self, day: i32) -> impl Iterator<Item = &Habit> + Clone {
        self.habits.iter().filter(move |habit| (habit.since..=habit.until).contains(&day))
    }
}

/// Most people were there before the span and stay; some join in its middle, few leave.
fn membership(dice: &mut Dice, days: i32) -> (i32, i32) {
    match dice.below(50) {
        0..3 => (dice.days(days / 8, days * 3 / 4), i32::MAX),
        3 => (i32::MIN, dice.days(days / 2, days)),
        _ => ALWAYS,
    }
}

fn rhythm(dice: &mut Dice, department: &Department) -> Rhythm {
    let weekend = if dice.chance(0.15) { dice.real(0.05, 0.4) } else { 0.02 };
    let mut rhythm = Rhythm {
        works: [0.97, 0.97, 0.97, 0.97, 0.94, weekend, weekend * 0.8],
        pace: [(); 7].map(|()| dice.real(0.75, 1.25)),
        home: home_days(dice),
        start: dice.normal(525.0, 40.0),
        spread: dice.real(6.0, 35.0),
        length: dice.real(470.0, 570.0),
        rotation: 0.0,
        evening: if dice.chance(0.3) { dice.real(0.05, 0.2) } else { 0.02 },
        volume: dice.heavy(12.5).min(55.0),
        rare: false,
    };
    if dice.chance(0.05) {
        make_rare(dice, &mut rhythm);
    } else if dice.chance(department.shifts) {
        put_on_shifts(dice, &mut rhythm);
    } else if dice.chance(0.09) {
        make_part_time(dice, &mut rhythm);
    }
    rhythm
}

/// The weekdays at home: none, a fixed few, or any.
fn home_days(dice: &mut Dice) -> [f64; 7] {
    match dice.below(10) {
        0..3 => [0.02; 7],
        3 | 4 => [0.97; 7],
        5 => [0.4; 7],
        _ => {
            let mut home = [0.06; 7];
            let count = 1 + dice.below(3);
            for weekday in dice.sample(5, count) {
                home[weekday] = 0.92;
            }
            home
        }
    }
}

fn make_rare(dice: &mut Dice, rhythm: &mut Rhythm) {
    rhythm.works = [dice.real(0.05, 0.25); 7];
    rhythm.works[5..].fill(0.02);
    rhythm.volume = dice.real(2.0, 6.0);
    rhythm.length = dice.real(60.0, 400.0);
    rhythm.spread = 120.0;
    rhythm.rare = true;
}

fn put_on_shifts(dice: &mut Dice, rhythm: &mut Rhythm) {
    if dice.chance(0.5) {
        rhythm.start = dice.normal(1310.0, 15.0);
    } else {
        rhythm.start = dice.normal(355.0, 10.0);
        rhythm.rotation = 480.0;
    }
    rhythm.spread = 8.0;
    rhythm.length = 490.0;
    rhythm.evening = 0.01;
    rhythm.works = [0.06; 7];
    for weekday in dice.sample(7, 5) {
        rhythm.works[weekday] = 0.94;
    }
}

fn make_part_time(dice: &mut Dice, rhythm: &mut Rhythm) {
    if dice.chance(0.5) {
        rhythm.length = dice.real(220.0, 300.0);
    } else {
        let free = 1 + dice.below(2);
        for weekday in dice.sample(5, free) {
            rhythm.works[weekday] = 0.04;
        }
    }
    rhythm.volume = (rhythm.volume * 0.7).max(7.0);
}

/// The department's tools, what everybody has, what some have; some of it only for a while.
fn habits(dice: &mut Dice, department: &Department, days: i32) -> Vec<Habit> {
    let mut habits: Vec<Habit> = Vec::new();
    for (name, weight) in COMMON_APPS {
        add_habit(&mut habits, dice, name, *weight, ALWAYS);
    }
    for (position, (name, weight)) in department.apps.iter().enumerate() {
        if position == 0 || dice.chance(0.72) {
            add_habit(&mut habits, dice, name, *weight, ALWAYS);
        } else if dice.chance(0.4) {
            let window = project(dice, days);
            add_habit(&mut habits, dice, name, *weight, window);
        }
    }
    for (name, weight) in OPTIONAL_APPS {
        if dice.chance(0.4) {
            add_habit(&mut habits, dice, name, *weight, ALWAYS);
        } else if dice.chance(0.1) {
            let since = dice.days(0, days);
            add_habit(&mut habits, dice, name, *weight, (since, i32::MAX));
        }
    }
    borrow_a_tool(&mut habits, dice, days);
    for campaign in CAMPAIGNS {
        let start = (campaign.start * f64::from(days)) as i32 + dice.days(0, 4);
        let end = campaign.days.map_or(i32::MAX, |length| start + length);
        if dice.chance(campaign.share) {
            add_habit(&mut habits, dice, campaign.app, campaign.weight, (start, end));
        }
    }
    habits
}

/// One person in three works with another department's tool, for a project or for good.
fn borrow_a_tool(habits: &mut Vec<Habit>, dice: &mut Dice, days: i32) {
    if dice.chance(0.35) {
        let department = some_department(dice);
        let (name, weight) = dice.pick(department.apps);
        let window = if dice.chance(0.4) { ALWAYS } else { project(dice, days) };
        add_habit(habits, dice, name, weight / 2 + 1, window);
    }
}

fn some_department(dice: &mut Dice) -> &'static Department {
    &DEPARTMENTS[dice.weighted(DEPARTMENTS.iter().map(|department| department.weight))]
}

fn project(dice: &mut Dice, days: i32) -> (i32, i32) {
    let since = dice.days(-20, days);
    (since, since + dice.days(8, 45))
}

fn add_habit(habits: &mut Vec<Habit>, dice: &mut Dice, name: &str, weight: u32, (since, until): (i32, i32)) {
    let weight = (f64::from(weight) * dice.real(0.3, 1.9)).max(1.0) as u32;
    habits.push(Habit { app: app(name), weight, since, until });
}

/// A laptop and mostly a phone, some of them replaced in the span; at times a computer at home.
fn devices(dice: &mut Dice, department: &Department, given: &str, days: i32) -> Vec<Device> {
    let mac = dice.chance(department.macs);
    let mut devices = Vec::new();
    for span in replaced(dice, 0.14, days) {
        devices.push(Device::laptop(dice, mac, span, days));
    }
    if dice.chance(0.88) {
        for span in replaced(dice, 0.1, days) {
            devices.push(Device::phone(dice, given, span, days));
        }
    }
    if dice.chance(0.22) {
        let platform = dice.pick(&[Platform::Windows, Platform::Windows, Platform::Mac, Platform::Linux]);
        let browser = dice.pick(&[Browser::Chrome, Browser::Chrome, Browser::Firefox, Browser::Edge]);
        devices.push(Device::unknown(dice, platform, browser, days));
    }
    devices
}

/// One device for the whole span, or an old one and its successor, in use together for a day or two.
fn replaced(dice: &mut Dice, chance: f64, days: i32) -> Vec<(i32, i32)> {
    if !dice.chance(chance) {
        return vec![ALWAYS];
    }
    let day = dice.days(1, days);
    vec![(ALWAYS.0, day + dice.days(0, 2)), (day, ALWAYS.1)]
}

/// Business trips, often to the same few towns, days of work from a friend's place, and leave.
fn stays(dice: &mut Dice, department: &Department, country: &str, days: i32) -> Vec<Stay> {
    let known: Vec<&str> = (0..2).map(|_| dice.pick(DESTINATIONS)).collect();
    let eagerness = dice.real(0.3, 1.7);
    let trips = dice.around(department.trips * f64::from(days) / 100.0 * eagerness);
    let mut stays = Vec::new();
    for _ in 0..trips {
        let name = if dice.chance(0.55) { dice.pick(&known) } else { dice.pick(DESTINATIONS) };
        stays.push(stay(dice, days, (0, 4), name, true));
    }
    let near: Vec<&str> =
        CITIES.iter().filter(|city| city.country == country).map(|city| city.name).collect();
    let visits = if dice.chance(0.5) { f64::from(days) / 30.0 } else { 0.0 };
    for _ in 0..dice.around(visits) {
        let name = dice.pick(&near);
        stays.push(stay(dice, days, (0, 2), name, true));
    }
    for _ in 0..dice.around(f64::from(days) / 60.0) {
        let length = dice.pick(&[(0, 1), (2, 4), (4, 9)]);
        let name = dice.pick(RESORTS);
        stays.push(stay(dice, days, length, name, false));
    }
    stays
}

fn stay(dice: &mut Dice, days: i32, (least, most): (i32, i32), name: &str, work: bool) -> Stay {
    let since = dice.days(-3, days);
    Stay { since, until: since + dice.days(least, most), city: town(name), work }
}

/// How often each name is taken.
#[derive(Default)]
struct Names(HashMap<String, usize>);

impl Names {
    /// Given name, family name and the part of the address before the at sign.
    fn draw(&mut self, dice: &mut Dice, office: &Office) -> (&'static str, &'static str, String) {
        let (_, given, family) = NAMES.iter().find(|(city, ..)| *city == office.city).unwrap_or(&NAMES[0]);
        let (given, family) = (dice.pick(given), dice.pick(family));
        let local = ascii(&format!("{given}.{family}"));
        let count = self.0.entry(local.clone()).or_default();
        *count += 1;
        let unique = if *count == 1 { local } else { format!("{local}{count}") };
        (given, family, unique)
    }
}

/// Lower case without accents or apostrophes.
fn ascii(name: &str) -> String {
    const PLAIN: &[(char, char)] = &[('é', 'e'), ('è', 'e'), ('ë', 'e'), ('ô', 'o'), ('ç', 'c'), ('î', 'i')];
    let plain = |letter: char| {
        PLAIN.iter().find(|(accented, _)| *accented == letter).map_or(letter, |(_, plain)| *plain)
    };
    name.to_lowercase().chars().filter(|letter| *letter != '\'').map(plain).collect()
}

/// The name of an app of the catalogue.
pub(super) fn app_name(app: usize) -> &'static str {
    APPS[app].name
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn addresses_are_plain_and_unique() {
        let company = Company::new(3, 400, 75);
        let names: HashSet<_> = company.people.iter().map(|person| &person.upn).collect();
        assert_eq!(names.len(), 400);
        assert!(names.iter().all(|name| name.is_ascii() && !name.contains(['\'', ' '])), "{names:?}");
    }

    #[test]
    fn everybody_always_has_a_device_and_an_app() {
        let company = Company::new(5, 100, 30);
        for person in &company.people {
            for day in 0..30 {
                assert!(person.devices.iter().any(|device| device.in_use(day)));
                assert!(person.habits_on(day).count() >= COMMON_APPS.len());
            }
        }
    }
}
