//! What Duo protects, how people prove who they are, and how that ends. Data only.

/// How an application is reached, and so what it learns about the device.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Reach {
    /// In a browser, which tells much.
    Web,
    /// Through a gateway that tells no more than the address.
    Gateway,
    /// At a Windows or Unix machine's login, which tells its name.
    Host,
}

/// A protected application.
pub(super) struct Integration {
    pub(super) name: &'static str,
    pub(super) reach: Reach,
    /// What lies behind a portal.
    pub(super) destinations: &'static [&'static str],
    /// The departments that use it; all if empty.
    pub(super) departments: &'static [&'static str],
    /// Part of those people who do.
    pub(super) share: f64,
    pub(super) weight: u32,
    /// Whether it takes only devices that the company manages.
    pub(super) strict: bool,
}

const fn integration(name: &'static str, reach: Reach, share: f64, weight: u32) -> Integration {
    Integration { name, reach, destinations: &[], departments: &[], share, weight, strict: false }
}

pub(super) static INTEGRATIONS: &[Integration] = &[
    integration("Microsoft Entra ID", Reach::Web, 1.0, 60),
    integration("Cisco Secure Client VPN", Reach::Gateway, 0.8, 30),
    Integration {
        destinations: &["Salesforce", "Workday", "Zendesk", "Atlassian Cloud", "DocuSign"],
        ..integration("Duo Central", Reach::Web, 0.8, 26)
    },
    integration("Citrix Gateway", Reach::Web, 0.25, 14),
    integration("Password Manager", Reach::Web, 0.45, 12),
    integration("Payroll Portal", Reach::Web, 0.3, 2),
    integration("Expense Reports", Reach::Web, 0.3, 3),
    Integration {
        departments: &["Engineering", "Data", "IT Operations"],
        ..integration("UNIX Application", Reach::Host, 0.6, 22)
    },
    Integration {
        departments: &["IT Operations", "Finance", "Operations"],
        strict: true,
        ..integration("Microsoft RDP", Reach::Host, 0.6, 20)
    },
    Integration {
        departments: &["IT Operations"],
        strict: true,
        ..integration("CyberArk Privileged Access", Reach::Web, 0.9, 18)
    },
    Integration { departments: &["Engineering"], ..integration("GitHub Enterprise", Reach::Web, 0.9, 24) },
    Integration { departments: &["Finance"], ..integration("SAP Fiori", Reach::Web, 0.9, 24) },
    Integration { departments: &["Human Resources"], ..integration("HR Case Files", Reach::Web, 0.9, 16) },
    Integration { departments: &["Legal"], ..integration("Relativity", Reach::Web, 0.8, 14) },
    Integration {
        departments: &["IT Operations"],
        strict: true,
        ..integration("Duo Admin Panel", Reach::Web, 0.4, 4)
    },
    Integration {
        departments: &["IT Operations"],
        strict: true,
        ..integration("Backup Console", Reach::Web, 0.4, 5)
    },
];

/// A way to prove who one is: as the records name it, how common it is as a person's first choice, and whether it needs
/// the phone.
pub(super) static FACTORS: &[(&str, u32)] = &[
    ("duo_push", 74),
    ("phone_call", 6),
    ("sms_passcode", 6),
    ("duo_mobile_passcode", 7),
    ("hardware_token", 4),
    ("webauthn_security_key", 3),
];

/// How an authentication ends: result and reason.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Ending {
    pub(super) result: &'static str,
    pub(super) reason: Option<&'static str>,
}

const fn ending(result: &'static str, reason: &'static str) -> Ending {
    Ending { result, reason: Some(reason) }
}

pub(super) static APPROVED: Ending = ending("success", "user_approved");
pub(super) static PASSCODE: Ending = ending("success", "valid_passcode");
pub(super) static REMEMBERED: Ending = ending("success", "remembered_device");
pub(super) static BYPASSED: Ending = ending("success", "bypass_user");
pub(super) static ENROLLED: Ending = Ending { result: "success", reason: None };
pub(super) static MISTAKE: Ending = ending("denied", "user_mistake");
pub(super) static NO_RESPONSE: Ending = ending("denied", "no_response");
pub(super) static CANCELLED: Ending = ending("denied", "user_cancelled");
pub(super) static WRONG_PASSCODE: Ending = ending("denied", "invalid_passcode");
pub(super) static NO_KEYS: Ending = ending("denied", "no_keys_pressed");
pub(super) static LOCKED_OUT: Ending = ending("denied", "locked_out");
pub(super) static UNTRUSTED: Ending = ending("denied", "endpoint_is_not_trusted");
pub(super) static ANOMALOUS: Ending = ending("denied", "anomalous_push");
pub(super) static NO_PERMISSION: Ending = ending("denied", "user_not_in_permitted_group");
pub(super) static FRAUD: Ending = ending("fraud", "user_marked_fraud");

/// Names of the countries of the towns.
pub(super) static COUNTRIES: &[(&str, &str)] = &[
    ("GB", "United Kingdom"),
    ("FR", "France"),
    ("US", "United States"),
    ("IN", "India"),
    ("SG", "Singapore"),
    ("DE", "Germany"),
    ("NL", "Netherlands"),
    ("IE", "Ireland"),
    ("ES", "Spain"),
    ("IT", "Italy"),
    ("CH", "Switzerland"),
    ("SE", "Sweden"),
    ("PL", "Poland"),
    ("RO", "Romania"),
    ("BG", "Bulgaria"),
    ("UA", "Ukraine"),
    ("TR", "Turkey"),
    ("AE", "United Arab Emirates"),
    ("NG", "Nigeria"),
    ("ZA", "South Africa"),
    ("JP", "Japan"),
    ("HK", "Hong Kong"),
    ("AU", "Australia"),
    ("CA", "Canada"),
    ("BR", "Brazil"),
    ("RU", "Russia"),
];
