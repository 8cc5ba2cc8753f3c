//! Computers and phones, their browsers, and what a sign-in tells about them.

use super::dice::{Dice, Guid};
use super::tables::{Browser, FACTORS, Legacy, Platform, TRAINS, Train};

/// How a device shows up in the directory.
#[derive(Clone)]
pub(super) struct Registration {
    pub(super) id: Guid,
    pub(super) name: String,
    pub(super) trust: &'static str,
    pub(super) managed: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum DeviceKind {
    Laptop,
    Phone,
    HomeComputer,
}

/// A device that somebody signs in from.
#[derive(Clone)]
pub(super) struct Device {
    pub(super) kind: DeviceKind,
    pub(super) platform: Platform,
    /// Version of the operating system, where it shows.
    release: i32,
    /// The day that the next version is installed.
    upgrade: i32,
    /// The browsers on it, with weights.
    pub(super) browsers: Vec<(Browser, u32)>,
    pub(super) registration: Option<Registration>,
    /// Whether browsers other than Edge show the registration.
    announced: bool,
    /// Days that updates take to arrive.
    lag: i32,
    /// First and last day of use.
    pub(super) since: i32,
    pub(super) until: i32,
    /// How the owner's name was typed on it.
    spelling: Spelling,
}

/// How a name was typed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Spelling {
    Lower,
    Capitalised,
    Upper,
}

impl Spelling {
    /// `olivia.shaw@…` as it was typed.
    pub(super) fn apply(self, name: &str) -> String {
        match self {
            Self::Lower => name.to_owned(),
            Self::Upper => name.to_uppercase(),
            Self::Capitalised => capitalise(name),
        }
    }
}

fn capitalise(name: &str) -> String {
    let Some((local, domain)) = name.split_once('@') else { return name.to_owned() };
    let parts: Vec<String> = local
        .split('.')
        .map(|part| part.chars().take(1).flat_map(char::to_uppercase).chain(part.chars().skip(1)).collect())
        .collect();
    format!("{}@{domain}", parts.join("."))
}

/// What runs on the device.
#[derive(Clone, Copy)]
pub(super) enum Program {
    Browser(Browser),
    /// An app of its own.
    Rich,
    Legacy(&'static Legacy),
}

/// What a sign-in tells about its device.
#[derive(Clone)]
pub(super) struct Client {
    /// `clientAppUsed`.
    pub(super) used: &'static str,
    pub(super) browser: String,
    pub(super) system: String,
    pub(super) agent: String,
    pub(super) registration: Option<Registration>,
    pub(super) legacy: bool,
    pub(super) spelling: Spelling,
}

/// The days of a device that was always there and stays.
pub(super) const ALWAYS: (i32, i32) = (i32::MIN, i32::MAX);

impl Device {
    /// A company laptop.
    pub(super) fn laptop(dice: &mut Dice, mac: bool, (since, until): (i32, i32), horizon: i32) -> Self {
        let platform = if mac { Platform::Mac } else { Platform::Windows };
        let trust = if mac { "Azure AD registered" } else { "Hybrid Azure AD joined" };
        let name = format!("TB-{}-{}", if mac { "MBP" } else { "LT" }, serial(dice, 6));
        let favourite = match (mac, dice.below(10)) {
            (false, 0..6) => Browser::Edge,
            (true, 0..3) => Browser::Safari,
            (_, 9) => Browser::Firefox,
            _ => Browser::Chrome,
        };
        let mut browsers = vec![(favourite, 90)];
        if dice.chance(0.5) {
            let second = dice.pick(&[Browser::Edge, Browser::Chrome, Browser::Firefox]);
            browsers.push((second, dice.int(2, 25) as u32));
        }
        Self {
            kind: DeviceKind::Laptop,
            platform,
            release: if dice.chance(0.3) { 10 } else { 11 },
            upgrade: dice.days(5, horizon * 3),
            browsers,
            registration: Some(Registration { id: dice.guid(), name, trust, managed: true }),
            announced: dice.chance(0.6),
            lag: update_lag(dice),
            since,
            until,
            spelling: spelling(dice),
        }
    }

    /// A phone, perhaps enrolled.
    pub(super) fn phone(dice: &mut Dice, owner: &str, (since, until): (i32, i32), horizon: i32) -> Self {
        let apple = dice.chance(0.55);
        let enrolled = dice.chance(0.6);
        let name = if apple { format!("{owner}'s iPhone") } else { format!("{owner}_AndroidForWork") };
        let registration =
            Registration { id: dice.guid(), name, trust: "Azure AD registered", managed: dice.chance(0.7) };
        Self {
            kind: DeviceKind::Phone,
            platform: if apple { Platform::Ios } else { Platform::Android },
            release: dice.int(13, 16) as i32,
            upgrade: dice.days(5, horizon * 4),
            browsers: vec![(if apple { Browser::MobileSafari } else { Browser::ChromeMobile }, 1)],
            registration: enrolled.then_some(registration),
            announced: true,
            lag: update_lag(dice),
            since,
            until,
            spelling: spelling(dice),
        }
    }

    /// A computer that the company does not know: the family's at home, or a stranger's.
    pub(super) fn unknown(dice: &mut Dice, platform: Platform, browser: Browser, horizon: i32) -> Self {
        Self {
            kind: DeviceKind::HomeComputer,
            platform,
            release: if dice.chance(0.5) { 10 } else { 11 },
            upgrade: dice.days(5, horizon * 3),
            browsers: vec![(browser, 1)],
            registration: None,
            announced: false,
            lag: update_lag(dice),
            since: ALWAYS.0,
            until: ALWAYS.1,
            spelling: spelling(dice),
        }
    }

    pub(super) fn in_use(&self, day: i32) -> bool {
        (self.since..=self.until).contains(&day)
    }

    /// Picks one of the device's browsers.
    pub(super) fn browser(&self, dice: &mut Dice) -> Browser {
        self.browsers[dice.weighted(self.browsers.iter().map(|(_, weight)| *weight))].0
    }

    /// What a sign-in with `program` on `day` tells; `today` counts days since 1970-01-01.
    pub(super) fn client(&self, program: Program, day: i32, today: i32) -> Client {
        let version_day = today - self.lag;
        let registration = self.registration.clone().filter(|_| self.shows_registration(program));
        let (browser, agent) = match program {
            Program::Browser(browser) => describe(browser, version_day),
            Program::Rich => self.rich_client(version_day),
            Program::Legacy(legacy) => (String::new(), legacy.agent.to_owned()),
        };
        let system = match program {
            Program::Legacy(_) => String::new(),
            _ => self.system(day, version_day, registration.is_some()),
        };
        let agent = match program {
            Program::Legacy(_) => agent,
            _ => format!("Mozilla/5.0 ({}) {agent}", self.platform_token(version_day)),
        };
        let used = match program {
            Program::Browser(_) => "Browser",
            Program::Rich => "Mobile Apps and Desktop clients",
            Program::Legacy(legacy) => legacy.client,
        };
        let legacy = matches!(program, Program::Legacy(_));
        Client { used, browser, system, agent, registration, legacy, spelling: self.spelling }
    }

    /// Firefox and legacy clients never show it, Chrome only with an extension.
    fn shows_registration(&self, program: Program) -> bool {
        match program {
            Program::Rich | Program::Browser(Browser::Edge) => true,
            Program::Browser(Browser::Firefox) | Program::Legacy(_) => false,
            Program::Browser(_) => self.announced,
        }
    }

    fn rich_client(&self, version_day: i32) -> (String, String) {
        let shown = match self.platform {
            Platform::Ios => {
                return ("Mobile Safari".to_owned(), describe(Browser::MobileSafari, version_day).1);
            }
            Platform::Android => Browser::ChromeMobile,
            _ => Browser::RichClient,
        };
        describe(shown, version_day)
    }

    /// `deviceDetail.operatingSystem`: browsers tell what their user agent says, registered devices what the directory
    /// knows.
    fn system(&self, day: i32, version_day: i32, registered: bool) -> String {
        let release = self.release + i32::from(day >= self.upgrade);
        match (self.platform, registered) {
            (Platform::Windows, true) => format!("Windows{}", release.min(11)),
            (Platform::Windows, false) => "Windows 10".to_owned(),
            (Platform::Mac, _) => "MacOs".to_owned(),
            (Platform::Linux, _) => "Linux".to_owned(),
            (Platform::Ios, _) => format!("Ios {}", apple_version(version_day, ".")),
            (Platform::Android, _) => format!("Android {}", release.min(16)),
        }
    }

    fn platform_token(&self, version_day: i32) -> String {
        match self.platform {
            Platform::Windows => "Windows NT 10.0; Win64; x64".to_owned(),
            Platform::Mac => "Macintosh; Intel Mac OS X 10_15_7".to_owned(),
            Platform::Linux => "X11; Linux x86_64".to_owned(),
            Platform::Ios => {
                format!("iPhone; CPU iPhone OS {} like Mac OS X", apple_version(version_day, "_"))
            }
            Platform::Android => "Linux; Android 10; K".to_owned(),
        }
    }
}

/// Most devices update within two weeks, some months late.
fn update_lag(dice: &mut Dice) -> i32 {
    if dice.chance(0.12) { dice.days(30, 90) } else { dice.days(0, 14) }
}

fn spelling(dice: &mut Dice) -> Spelling {
    match dice.below(25) {
        0 => Spelling::Upper,
        1 | 2 => Spelling::Capitalised,
        _ => Spelling::Lower,
    }
}

fn serial(dice: &mut Dice, length: usize) -> String {
    (0..length).map(|_| char::from(dice.pick(b"0123456789ABCDEFGHJKLMNPQRSTVWXYZ"))).collect()
}

/// The second factor that a person uses.
pub(super) fn second_factor(dice: &mut Dice) -> &'static str {
    FACTORS[dice.weighted(FACTORS.iter().map(|(_, weight)| *weight))].0
}

/// `deviceDetail.browser` and the end of the user agent, with the version of the day.
fn describe(browser: Browser, today: i32) -> (String, String) {
    let train = train(browser);
    let steps = (today - train.anchor).div_euclid(train.cadence);
    let (year, point) = apple_release(train, today);
    let parts = [
        ("{M}", train.major + steps),
        ("{B}", train.build + steps * train.build_step),
        ("{Y}", year),
        ("{P}", point),
    ];
    let fill = |pattern: &str| {
        parts.iter().fold(pattern.to_owned(), |text, (mark, number)| text.replace(mark, &number.to_string()))
    };
    (fill(train.name), fill(train.agent))
}

fn train(browser: Browser) -> &'static Train {
    TRAINS.iter().find(|train| train.browser == browser).expect("every browser has a release train")
}

/// Apple numbers by year, with seven point releases in each.
fn apple_release(train: &Train, today: i32) -> (i32, i32) {
    let release = train.major + (today - train.anchor).div_euclid(train.cadence);
    (26 + release.div_euclid(7), release.rem_euclid(7))
}

fn apple_version(today: i32, separator: &str) -> String {
    let (year, point) = apple_release(train(Browser::MobileSafari), today);
    format!("{year}{separator}{point}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn browsers_move_on() {
        let name = |browser, today| describe(browser, today).0;
        assert_eq!(name(Browser::Edge, 20468), "Edge 144.0.3719");
        assert_eq!(name(Browser::Edge, 20467), "Edge 143.0.3650");
        assert_eq!(name(Browser::Firefox, 20466 + 28), "Firefox 148.0");
        assert_eq!(name(Browser::Safari, 20440), "Safari 26.2");
        assert_eq!(name(Browser::Safari, 20437 + 5 * 49), "Safari 27.0");
    }

    #[test]
    fn names_are_typed_in_three_ways() {
        let typed = |spelling: Spelling| spelling.apply("olivia.shaw@tarnbridge.example");
        assert_eq!(typed(Spelling::Capitalised), "Olivia.Shaw@tarnbridge.example");
        assert_eq!(typed(Spelling::Upper), "OLIVIA.SHAW@TARNBRIDGE.EXAMPLE");
        assert_eq!(typed(Spelling::Lower), "olivia.shaw@tarnbridge.example");
    }
}
