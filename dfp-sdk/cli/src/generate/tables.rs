//! What the generated company is made of: places, departments, apps, browsers, failures, names. Data only.

use jiff::civil::Weekday;

/// A town that an address resolves to.
pub(super) struct City {
    pub(super) name: &'static str,
    pub(super) state: &'static str,
    pub(super) country: &'static str,
    pub(super) latitude: f64,
    pub(super) longitude: f64,
    /// Minutes east of Greenwich, standard time.
    pub(super) offset: i32,
}

const fn city(
    name: &'static str,
    state: &'static str,
    country: &'static str,
    latitude: f64,
    longitude: f64,
    offset: i32,
) -> City {
    City { name, state, country, latitude, longitude, offset }
}

/// Every town of the generator. Offices, homes, travel and attacks all draw from this one list, so that no town is
/// a sign of anything by itself.
pub(super) static CITIES: &[City] = &[
    city("Leeds", "Leeds", "GB", 53.79648, -1.54785, 0),
    city("Bradford", "Bradford", "GB", 53.79391, -1.75206, 0),
    city("Harrogate", "North Yorkshire", "GB", 53.99078, -1.5373, 0),
    city("Wakefield", "Wakefield", "GB", 53.68331, -1.49768, 0),
    city("York", "York", "GB", 53.95763, -1.08271, 0),
    city("Huddersfield", "Kirklees", "GB", 53.64904, -1.78416, 0),
    city("Manchester", "Manchester", "GB", 53.48095, -2.23743, 0),
    city("London", "London", "GB", 51.50853, -0.12574, 0),
    city("Birmingham", "Birmingham", "GB", 52.48142, -1.89983, 0),
    city("Edinburgh", "Edinburgh", "GB", 55.95206, -3.19648, 0),
    city("Lyon", "Rhone", "FR", 45.74846, 4.84671, 60),
    city("Villeurbanne", "Rhone", "FR", 45.76601, 4.8795, 60),
    city("Bron", "Rhone", "FR", 45.73865, 4.91303, 60),
    city("Saint-Étienne", "Loire", "FR", 45.43389, 4.39, 60),
    city("Paris", "Paris", "FR", 48.85341, 2.3488, 60),
    city("Issy-les-Moulineaux", "Île-de-France", "FR", 48.82104, 2.27718, 60),
    city("Marseille", "Bouches-Du-Rhone", "FR", 43.29695, 5.38107, 60),
    city("Bordeaux", "Gironde", "FR", 44.8404, -0.5805, 60),
    city("Boston", "Massachusetts", "US", 42.35843, -71.05977, -300),
    city("Cambridge", "Massachusetts", "US", 42.3751, -71.10561, -300),
    city("Quincy", "Massachusetts", "US", 42.25288, -71.00227, -300),
    city("Worcester", "Massachusetts", "US", 42.26259, -71.80229, -300),
    city("Nashua", "New Hampshire", "US", 42.76537, -71.46757, -300),
    city("New York", "New York", "US", 40.71427, -74.00597, -300),
    city("Chicago", "Illinois", "US", 41.85003, -87.65005, -360),
    city("Atlanta", "Georgia", "US", 33.749, -84.38798, -300),
    city("San Francisco", "California", "US", 37.77493, -122.41942, -480),
    city("Ashburn", "Virginia", "US", 39.04372, -77.48749, -300),
    city("Pune", "Maharashtra", "IN", 18.51957, 73.85535, 330),
    city("Pimpri", "Maharashtra", "IN", 18.62292, 73.80696, 330),
    city("Mumbai", "Maharashtra", "IN", 19.07283, 72.88261, 330),
    city("Bengaluru", "Karnataka", "IN", 12.97194, 77.59369, 330),
    city("Hyderabad", "Telangana", "IN", 17.38405, 78.45636, 330),
    city("Singapore", "Singapore", "SG", 1.28967, 103.85007, 480),
    city("Berlin", "Berlin", "DE", 52.52437, 13.41053, 60),
    city("Frankfurt Am Main", "Hessen", "DE", 50.11552, 8.68417, 60),
    city("Munich", "Bayern", "DE", 48.13743, 11.57549, 60),
    city("Amsterdam", "Noord-Holland", "NL", 52.37403, 4.88969, 60),
    city("Dublin", "Dublin", "IE", 53.33306, -6.24889, 0),
    city("Madrid", "Madrid", "ES", 40.4165, -3.70256, 60),
    city("Málaga", "Malaga", "ES", 36.72016, -4.42034, 60),
    city("Milan", "Lombardia", "IT", 45.46427, 9.18951, 60),
    city("Zurich", "Zurich", "CH", 47.36667, 8.55, 60),
    city("Stockholm", "Stockholms Lan", "SE", 59.33258, 18.0649, 60),
    city("Warsaw", "Mazowieckie", "PL", 52.22977, 21.01178, 60),
    city("Bucharest", "Bucuresti", "RO", 44.43225, 26.10626, 120),
    city("Sofia", "Sofia (stolica)", "BG", 42.69751, 23.32415, 120),
    city("Kyiv", "Kyiv", "UA", 50.45466, 30.5238, 120),
    city("Istanbul", "Istanbul", "TR", 41.01384, 28.94966, 180),
    city("Dubai", "Dubai", "AE", 25.07725, 55.30927, 240),
    city("Lagos", "Lagos", "NG", 6.45407, 3.39467, 60),
    city("Johannesburg", "Gauteng", "ZA", -26.20227, 28.04363, 120),
    city("Tokyo", "Tokyo", "JP", 35.6895, 139.69171, 540),
    city("Hong Kong", "Central and Western District", "HK", 22.27832, 114.17469, 480),
    city("Sydney", "New South Wales", "AU", -33.86785, 151.20732, 600),
    city("Toronto", "Ontario", "CA", 43.70011, -79.4163, -300),
    city("São Paulo", "Sao Paulo", "BR", -23.5475, -46.63611, -180),
    city("Moscow", "Moskva", "RU", 55.75222, 37.61556, 180),
];

/// A site of the company, by the names of [`CITIES`].
pub(super) struct Office {
    pub(super) city: &'static str,
    /// Share of the staff.
    pub(super) weight: u32,
    pub(super) homes: &'static [&'static str],
    /// The named location that its egress addresses belong to.
    pub(super) network: &'static str,
    /// Where its staff's VPN traffic comes out.
    pub(super) gateway: &'static str,
}

pub(super) static OFFICES: &[Office] = &[
    Office {
        city: "Leeds",
        weight: 42,
        homes: &[
            "Leeds",
            "Leeds",
            "Bradford",
            "Harrogate",
            "Wakefield",
            "York",
            "Huddersfield",
            "Manchester",
        ],
        network: "HQ Leeds egress",
        gateway: "London",
    },
    Office {
        city: "Boston",
        weight: 24,
        homes: &["Boston", "Boston", "Cambridge", "Quincy", "Worcester", "Nashua"],
        network: "Boston office",
        gateway: "Ashburn",
    },
    Office {
        city: "Lyon",
        weight: 18,
        homes: &["Lyon", "Lyon", "Villeurbanne", "Bron", "Saint-Étienne"],
        network: "Lyon - Part-Dieu",
        gateway: "Paris",
    },
    Office {
        city: "Pune",
        weight: 16,
        homes: &["Pune", "Pune", "Pimpri", "Mumbai"],
        network: "Pune ODC",
        gateway: "Singapore",
    },
];

/// Customers and conferences.
pub(super) static DESTINATIONS: &[&str] = &[
    "London",
    "Birmingham",
    "Edinburgh",
    "Paris",
    "Bordeaux",
    "Marseille",
    "New York",
    "Chicago",
    "Atlanta",
    "San Francisco",
    "Mumbai",
    "Bengaluru",
    "Hyderabad",
    "Singapore",
    "Berlin",
    "Frankfurt Am Main",
    "Munich",
    "Amsterdam",
    "Dublin",
    "Madrid",
    "Milan",
    "Zurich",
    "Stockholm",
    "Warsaw",
    "Istanbul",
    "Dubai",
    "Tokyo",
    "Hong Kong",
    "Sydney",
    "Toronto",
    "Johannesburg",
    "Leeds",
    "Boston",
    "Lyon",
    "Pune",
];

/// Where people read their mail on holiday.
pub(super) static RESORTS: &[&str] = &[
    "Málaga",
    "Málaga",
    "Marseille",
    "Edinburgh",
    "Dubai",
    "Istanbul",
    "São Paulo",
    "Sydney",
    "Madrid",
    "Milan",
];

/// Where attackers' addresses resolve to when they do not take the trouble to look local.
pub(super) static FOREIGN: &[&str] = &[
    "Lagos",
    "Moscow",
    "Bucharest",
    "Sofia",
    "Kyiv",
    "São Paulo",
    "Istanbul",
    "Hong Kong",
    "Amsterdam",
    "Frankfurt Am Main",
    "Johannesburg",
    "Warsaw",
    "Dubai",
];

/// When a holiday falls.
pub(super) enum HolidayRule {
    Fixed { month: i8, day: i8 },
    Nth { month: i8, nth: i8, weekday: Weekday },
    EasterPlus(i32),
}

const fn fixed(month: i8, day: i8) -> HolidayRule {
    HolidayRule::Fixed { month, day }
}

const fn nth(month: i8, nth: i8, weekday: Weekday) -> HolidayRule {
    HolidayRule::Nth { month, nth, weekday }
}

/// Public holidays of the offices' countries.
pub(super) static HOLIDAYS: &[(&str, HolidayRule)] = &[
    ("GB", fixed(1, 1)),
    ("GB", HolidayRule::EasterPlus(-2)),
    ("GB", HolidayRule::EasterPlus(1)),
    ("GB", nth(5, 1, Weekday::Monday)),
    ("GB", fixed(12, 25)),
    ("GB", fixed(12, 26)),
    ("FR", fixed(1, 1)),
    ("FR", HolidayRule::EasterPlus(1)),
    ("FR", HolidayRule::EasterPlus(39)),
    ("FR", HolidayRule::EasterPlus(50)),
    ("FR", fixed(5, 1)),
    ("FR", fixed(5, 8)),
    ("FR", fixed(7, 14)),
    ("FR", fixed(8, 15)),
    ("FR", fixed(11, 1)),
    ("FR", fixed(11, 11)),
    ("FR", fixed(12, 25)),
    ("US", fixed(1, 1)),
    ("US", nth(1, 3, Weekday::Monday)),
    ("US", nth(2, 3, Weekday::Monday)),
    ("US", fixed(6, 19)),
    ("US", fixed(7, 4)),
    ("US", nth(9, 1, Weekday::Monday)),
    ("US", nth(11, 4, Weekday::Thursday)),
    ("US", fixed(12, 25)),
    ("IN", fixed(1, 26)),
    ("IN", fixed(5, 1)),
    ("IN", fixed(8, 15)),
    ("IN", fixed(10, 2)),
    ("IN", fixed(12, 25)),
];

/// How an app is reached.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Reach {
    /// In a browser, on any device.
    Web,
    /// In a browser or in a program of its own, on any device.
    Suite,
    /// A program on a computer.
    Desktop,
    /// A program on a phone or tablet.
    Mobile,
}

/// What an app asks a token for.
pub(super) struct Resource {
    pub(super) name: &'static str,
    /// Azure's own identifier; `None` for apps of the tenant.
    pub(super) id: Option<&'static str>,
}

const fn resource(name: &'static str, id: &'static str) -> Resource {
    Resource { name, id: Some(id) }
}

static GRAPH: Resource = resource("Microsoft Graph", "00000003-0000-0000-c000-000000000000");
static DIRECTORY: Resource =
    resource("Windows Azure Active Directory", "00000002-0000-0000-c000-000000000000");
static EXCHANGE: Resource = resource("Office 365 Exchange Online", "00000002-0000-0ff1-ce00-000000000000");
static SHAREPOINT: Resource =
    resource("Office 365 SharePoint Online", "00000003-0000-0ff1-ce00-000000000000");
static MANAGEMENT: Resource =
    resource("Windows Azure Service Management API", "797f4846-ba00-4fd7-ba43-dac1f8f63013");
static SHELL: Resource = resource("Office365 Shell WCSS-Server", "5f09333a-842c-47da-a157-57da27fcbca5");
static CHAT: Resource = resource("Microsoft Teams Chat Aggregator", "b1379a75-ce5e-4fa3-80c6-89bb39bf646c");
static POWER_BI: Resource = resource("Power BI Service", "00000009-0000-0000-c000-000000000000");
static DEVOPS: Resource = resource("Azure DevOps", "499b84ac-1321-427f-aa17-267ca6975798");
/// The app asks for itself.
static ITSELF: Resource = Resource { name: "", id: None };

/// An entry of the company's catalogue.
pub(super) struct App {
    pub(super) name: &'static str,
    /// Azure's own identifier; `None` for apps that the tenant added.
    pub(super) id: Option<&'static str>,
    pub(super) reach: Reach,
    pub(super) resource: &'static Resource,
}

const fn microsoft(name: &'static str, id: &'static str, reach: Reach, resource: &'static Resource) -> App {
    App { name, id: Some(id), reach, resource }
}

const fn web(name: &'static str) -> App {
    App { name, id: None, reach: Reach::Web, resource: &ITSELF }
}

const fn suite(name: &'static str) -> App {
    App { name, id: None, reach: Reach::Suite, resource: &ITSELF }
}

/// The catalogue.
pub(super) static APPS: &[App] = &[
    microsoft("Office 365 Exchange Online", "00000002-0000-0ff1-ce00-000000000000", Reach::Suite, &EXCHANGE),
    microsoft(
        "Office 365 SharePoint Online",
        "00000003-0000-0ff1-ce00-000000000000",
        Reach::Web,
        &SHAREPOINT,
    ),
    microsoft("Microsoft Teams", "1fec8e78-bce4-4aaf-ab1b-5451cc387264", Reach::Suite, &CHAT),
    microsoft("Microsoft Teams Web Client", "5e3ce6c0-2b1f-4285-8d4b-75ee78787346", Reach::Web, &CHAT),
    microsoft("Microsoft Office", "d3590ed6-52b3-4102-aeff-aad2292ab01c", Reach::Desktop, &GRAPH),
    microsoft("OfficeHome", "4765445b-32c6-49b0-83e6-1d93765276ca", Reach::Web, &GRAPH),
    microsoft("Office365 Shell WCSS-Client", "89bee1f7-5e6e-4d8a-9f3d-ecd601259da7", Reach::Web, &SHELL),
    microsoft("Office Online Add-in SSO", "93d53678-613d-4013-afc1-62e9e444a0a5", Reach::Web, &GRAPH),
    microsoft("One Outlook Web", "9199bf20-a13f-4107-85dc-02114787ef48", Reach::Web, &EXCHANGE),
    microsoft("Outlook Mobile", "27922004-5251-4030-b22d-91ecd9a37ea4", Reach::Mobile, &EXCHANGE),
    microsoft("OneDrive SyncEngine", "ab9b8c07-8f02-4f72-87fa-80105867a763", Reach::Desktop, &SHAREPOINT),
    microsoft("Windows Sign In", "38aa3b87-a06d-4817-b275-7a316988d93b", Reach::Desktop, &DIRECTORY),
    microsoft(
        "Microsoft Authentication Broker",
        "29d9ed98-a469-4536-ade2-f981bc1d605e",
        Reach::Mobile,
        &DIRECTORY,
    ),
    microsoft(
        "Microsoft Intune Company Portal",
        "9ba1a5c7-f17a-4de9-a1f1-6178c8d51223",
        Reach::Mobile,
        &GRAPH,
    ),
    microsoft("Microsoft App Access Panel", "0000000c-0000-0000-c000-000000000000", Reach::Web, &DIRECTORY),
    microsoft("My Signins", "19db86c3-b2b9-44cc-b339-36da233a3be2", Reach::Web, &GRAPH),
    microsoft("Microsoft Planner", "09abbdfd-ed23-44ee-a2d9-a627aa1c90f3", Reach::Web, &GRAPH),
    microsoft("Microsoft Flow Portal", "6204c1d1-4712-4c46-a7d9-3ed63d992682", Reach::Web, &GRAPH),
    microsoft("Power BI Service", "00000009-0000-0000-c000-000000000000", Reach::Web, &POWER_BI),
    microsoft("Azure Portal", "c44b4083-3bb0-49c1-b47d-974e53cbdf3c", Reach::Web, &MANAGEMENT),
    microsoft("Microsoft Azure CLI", "04b07795-8ddb-461a-bbee-02f9e1bf7b46", Reach::Desktop, &MANAGEMENT),
    microsoft(
        "Microsoft Azure PowerShell",
        "1950a258-227b-4e31-a9cf-717495945fc2",
        Reach::Desktop,
        &MANAGEMENT,
    ),
    microsoft("Visual Studio Code", "aebc6443-996d-45c2-90f0-388ff96faa56", Reach::Desktop, &DEVOPS),
    microsoft("Azure DevOps", "499b84ac-1321-427f-aa17-267ca6975798", Reach::Web, &DEVOPS),
    microsoft("Graph Explorer", "de8bc8b5-d9f9-48b1-a8ad-b748da725064", Reach::Web, &GRAPH),
    suite("Zoom"),
    suite("Slack"),
    web("ServiceNow"),
    web("Workday"),
    web("SAP Concur"),
    web("LinkedIn Learning"),
    web("KnowBe4 Security Awareness Training"),
    web("Atlassian Cloud"),
    web("Miro"),
    web("DocuSign"),
    web("GitHub Enterprise Cloud"),
    web("AWS Single-Account Access"),
    web("Datadog"),
    web("PagerDuty"),
    web("Sentry"),
    web("Snowflake"),
    web("Databricks"),
    web("Tableau Cloud"),
    web("Salesforce"),
    web("HubSpot"),
    web("Gong"),
    web("Zendesk"),
    web("Figma"),
    suite("Adobe Creative Cloud"),
    web("SAP S/4HANA Cloud"),
    web("Anaplan"),
    web("BlackLine"),
    web("Coupa"),
    web("Bloomberg Anywhere"),
    web("Greenhouse"),
    web("Payroll Self Service"),
    web("HR Case Files"),
    web("Ironclad"),
    web("LexisNexis"),
    web("Relativity"),
    web("Warehouse Portal"),
    web("Plant MES"),
    web("Fleet Tracker"),
    web("Splunk Cloud"),
    web("CyberArk Privileged Access"),
    web("Microsoft Defender Portal"),
    suite("Secure Client VPN"),
    suite("Citrix Cloud"),
    web("Expensify"),
    web("Confluence Archive"),
    web("Board Documents"),
    web("Customer Data Vault"),
    web("Build Farm"),
    web("Design Review"),
    web("Viva Engage"),
];

/// What everybody uses, with weights.
pub(super) static COMMON_APPS: &[(&str, u32)] = &[
    ("Office 365 Exchange Online", 90),
    ("Microsoft Teams", 80),
    ("Office 365 SharePoint Online", 45),
    ("Microsoft Office", 40),
    ("Outlook Mobile", 60),
    ("Microsoft Authentication Broker", 14),
    ("OneDrive SyncEngine", 18),
    ("Windows Sign In", 22),
    ("OfficeHome", 20),
];

/// What some people of any department use, with weights.
pub(super) static OPTIONAL_APPS: &[(&str, u32)] = &[
    ("Microsoft Teams Web Client", 14),
    ("One Outlook Web", 18),
    ("Microsoft Planner", 8),
    ("Microsoft App Access Panel", 8),
    ("My Signins", 2),
    ("Zoom", 12),
    ("Slack", 16),
    ("ServiceNow", 6),
    ("Workday", 5),
    ("SAP Concur", 4),
    ("LinkedIn Learning", 3),
    ("Miro", 6),
    ("DocuSign", 4),
    ("Power BI Service", 6),
    ("Microsoft Flow Portal", 3),
    ("Expensify", 3),
    ("Citrix Cloud", 8),
    ("Microsoft Intune Company Portal", 2),
];

/// What a web app pulls in beside itself.
pub(super) static COMPANIONS: &[&str] = &[
    "Office365 Shell WCSS-Client",
    "Office Online Add-in SSO",
    "OfficeHome",
    "Office 365 SharePoint Online",
];

/// A campaign: an app that part of the staff is sent to at some time of the span.
pub(super) struct Campaign {
    pub(super) app: &'static str,
    /// When it starts, as part of the span.
    pub(super) start: f64,
    /// How many days people have; `None` when the app is there to stay.
    pub(super) days: Option<i32>,
    pub(super) share: f64,
    pub(super) weight: u32,
}

pub(super) static CAMPAIGNS: &[Campaign] = &[
    Campaign {
        app: "KnowBe4 Security Awareness Training",
        start: 0.2,
        days: Some(14),
        share: 0.9,
        weight: 7,
    },
    Campaign { app: "Workday", start: 0.35, days: Some(21), share: 0.8, weight: 8 },
    Campaign { app: "Viva Engage", start: 0.5, days: None, share: 0.7, weight: 10 },
    Campaign {
        app: "KnowBe4 Security Awareness Training",
        start: 0.85,
        days: Some(10),
        share: 0.9,
        weight: 7,
    },
];

/// A department.
pub(super) struct Department {
    pub(super) name: &'static str,
    pub(super) weight: u32,
    /// Trips a person makes in a hundred days.
    pub(super) trips: f64,
    /// Share of people with a Mac.
    pub(super) macs: f64,
    /// Share of people on shifts.
    pub(super) shifts: f64,
    pub(super) apps: &'static [(&'static str, u32)],
}

pub(super) static DEPARTMENTS: &[Department] = &[
    Department {
        name: "Engineering",
        weight: 28,
        trips: 0.5,
        macs: 0.5,
        shifts: 0.03,
        apps: &[
            ("GitHub Enterprise Cloud", 40),
            ("Atlassian Cloud", 45),
            ("Azure DevOps", 20),
            ("Visual Studio Code", 14),
            ("AWS Single-Account Access", 16),
            ("Datadog", 12),
            ("Sentry", 8),
            ("Build Farm", 14),
            ("PagerDuty", 4),
            ("Confluence Archive", 4),
            ("Azure Portal", 6),
        ],
    },
    Department {
        name: "IT Operations",
        weight: 8,
        trips: 0.3,
        macs: 0.1,
        shifts: 0.35,
        apps: &[
            ("ServiceNow", 50),
            ("Azure Portal", 40),
            ("Microsoft Azure PowerShell", 14),
            ("Microsoft Azure CLI", 8),
            ("Splunk Cloud", 20),
            ("CyberArk Privileged Access", 14),
            ("Microsoft Defender Portal", 16),
            ("PagerDuty", 14),
            ("Graph Explorer", 2),
            ("Datadog", 8),
        ],
    },
    Department {
        name: "Sales",
        weight: 18,
        trips: 5.0,
        macs: 0.3,
        shifts: 0.0,
        apps: &[
            ("Salesforce", 60),
            ("Gong", 14),
            ("HubSpot", 10),
            ("DocuSign", 12),
            ("SAP Concur", 10),
            ("Zoom", 20),
            ("Tableau Cloud", 6),
        ],
    },
    Department {
        name: "Customer Support",
        weight: 14,
        trips: 0.2,
        macs: 0.1,
        shifts: 0.4,
        apps: &[
            ("Zendesk", 60),
            ("Salesforce", 20),
            ("Atlassian Cloud", 10),
            ("Slack", 20),
            ("Customer Data Vault", 6),
        ],
    },
    Department {
        name: "Finance",
        weight: 9,
        trips: 0.6,
        macs: 0.05,
        shifts: 0.0,
        apps: &[
            ("SAP S/4HANA Cloud", 50),
            ("Anaplan", 16),
            ("BlackLine", 14),
            ("Coupa", 14),
            ("Bloomberg Anywhere", 5),
            ("Power BI Service", 14),
            ("Board Documents", 3),
        ],
    },
    Department {
        name: "Human Resources",
        weight: 6,
        trips: 0.5,
        macs: 0.15,
        shifts: 0.0,
        apps: &[
            ("Workday", 50),
            ("Greenhouse", 24),
            ("Payroll Self Service", 16),
            ("HR Case Files", 18),
            ("LinkedIn Learning", 8),
            ("DocuSign", 8),
        ],
    },
    Department {
        name: "Legal",
        weight: 4,
        trips: 1.0,
        macs: 0.2,
        shifts: 0.0,
        apps: &[
            ("Ironclad", 30),
            ("LexisNexis", 20),
            ("Relativity", 14),
            ("DocuSign", 20),
            ("Board Documents", 8),
        ],
    },
    Department {
        name: "Marketing",
        weight: 8,
        trips: 1.5,
        macs: 0.7,
        shifts: 0.0,
        apps: &[
            ("HubSpot", 34),
            ("Figma", 26),
            ("Adobe Creative Cloud", 24),
            ("Miro", 16),
            ("Salesforce", 8),
            ("Design Review", 8),
        ],
    },
    Department {
        name: "Operations",
        weight: 11,
        trips: 0.8,
        macs: 0.0,
        shifts: 0.45,
        apps: &[
            ("Warehouse Portal", 46),
            ("Plant MES", 30),
            ("Fleet Tracker", 16),
            ("SAP S/4HANA Cloud", 12),
            ("Citrix Cloud", 14),
        ],
    },
    Department {
        name: "Data",
        weight: 6,
        trips: 0.5,
        macs: 0.5,
        shifts: 0.0,
        apps: &[
            ("Snowflake", 40),
            ("Databricks", 34),
            ("Tableau Cloud", 20),
            ("Power BI Service", 16),
            ("GitHub Enterprise Cloud", 14),
            ("Atlassian Cloud", 16),
            ("Customer Data Vault", 5),
        ],
    },
];

/// Apps that a thief of data or of rights looks at first.
pub(super) static VALUABLE_APPS: &[&str] = &[
    "Office 365 Exchange Online",
    "Office 365 SharePoint Online",
    "One Outlook Web",
    "OfficeHome",
    "Microsoft App Access Panel",
    "My Signins",
    "Salesforce",
    "Workday",
    "Azure Portal",
];

/// An operating system family.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Platform {
    Windows,
    Mac,
    Linux,
    Ios,
    Android,
}

/// What names its version in `deviceDetail.browser`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Browser {
    Edge,
    Chrome,
    Firefox,
    Safari,
    MobileSafari,
    ChromeMobile,
    /// A program that signs in through Microsoft's library.
    RichClient,
}

/// How a browser's versions follow each other: version `major` came out on `anchor`, and one more every `cadence` days.
pub(super) struct Train {
    pub(super) browser: Browser,
    /// Days since 1970-01-01.
    pub(super) anchor: i32,
    pub(super) cadence: i32,
    pub(super) major: i32,
    pub(super) build: i32,
    /// How much the build number grows with each version.
    pub(super) build_step: i32,
    /// `{M}` major, `{B}` build, `{Y}` the year's major and `{P}` the point release of Apple's numbering.
    pub(super) name: &'static str,
    pub(super) agent: &'static str,
}

/// 2026-01-13, when the browsers of that January came out.
const ANCHOR: i32 = 20466;

pub(super) static TRAINS: &[Train] = &[
    Train {
        browser: Browser::Edge,
        anchor: ANCHOR + 2,
        cadence: 28,
        major: 144,
        build: 3719,
        build_step: 69,
        name: "Edge {M}.0.{B}",
        agent: "AppleWebKit/537.36 (KHTML, like Gecko) Chrome/{M}.0.0.0 Safari/537.36 Edg/{M}.0.0.0",
    },
    Train {
        browser: Browser::Chrome,
        anchor: ANCHOR,
        cadence: 28,
        major: 144,
        build: 7559,
        build_step: 65,
        name: "Chrome {M}.0.0",
        agent: "AppleWebKit/537.36 (KHTML, like Gecko) Chrome/{M}.0.0.0 Safari/537.36",
    },
    Train {
        browser: Browser::Firefox,
        anchor: ANCHOR,
        cadence: 28,
        major: 147,
        build: 0,
        build_step: 0,
        name: "Firefox {M}.0",
        agent: "Gecko/20100101 Firefox/{M}.0",
    },
    Train {
        browser: Browser::Safari,
        anchor: ANCHOR - 29,
        cadence: 49,
        major: 2,
        build: 0,
        build_step: 0,
        name: "Safari {Y}.{P}",
        agent: "AppleWebKit/605.1.15 (KHTML, like Gecko) Version/{Y}.{P} Safari/605.1.15",
    },
    Train {
        browser: Browser::MobileSafari,
        anchor: ANCHOR - 29,
        cadence: 49,
        major: 2,
        build: 0,
        build_step: 0,
        name: "Mobile Safari {Y}.{P}",
        agent: "AppleWebKit/605.1.15 (KHTML, like Gecko) Version/{Y}.{P} Mobile/15E148 Safari/604.1",
    },
    Train {
        browser: Browser::ChromeMobile,
        anchor: ANCHOR + 1,
        cadence: 28,
        major: 144,
        build: 7559,
        build_step: 65,
        name: "Chrome Mobile {M}.0.0",
        agent: "AppleWebKit/537.36 (KHTML, like Gecko) Chrome/{M}.0.0.0 Mobile Safari/537.36",
    },
    Train {
        browser: Browser::RichClient,
        anchor: ANCHOR - 20,
        cadence: 45,
        major: 79,
        build: 0,
        build_step: 0,
        name: "Rich Client 4.{M}.2.0",
        agent: "Microsoft Office/16.0 (MSAL 4.{M}.2)",
    },
];

/// A client that predates modern sign-in.
pub(super) struct Legacy {
    /// `clientAppUsed`.
    pub(super) client: &'static str,
    pub(super) agent: &'static str,
}

pub(super) static IMAP: Legacy = Legacy { client: "IMAP4", agent: "BAV2ROPC" };
pub(super) static SMTP: Legacy = Legacy { client: "Authenticated SMTP", agent: "BAV2ROPC" };
pub(super) static ACTIVE_SYNC: Legacy =
    Legacy { client: "Exchange ActiveSync", agent: "Android-Mail/2025.11.16.828500041.Release" };

/// How a sign-in ended.
#[derive(PartialEq, Eq, Debug)]
pub(super) struct Outcome {
    pub(super) code: u32,
    /// `status.failureReason` and `resultDescription`; empty on success.
    pub(super) reason: &'static str,
    pub(super) details: Option<&'static str>,
}

impl Outcome {
    pub(super) fn succeeded(&self) -> bool {
        self.code == 0
    }
}

const fn failure(code: u32, reason: &'static str) -> Outcome {
    Outcome { code, reason, details: None }
}

pub(super) static SUCCESS: Outcome = Outcome { code: 0, reason: "", details: None };
pub(super) static SUCCESS_BY_CLAIM: Outcome =
    Outcome { code: 0, reason: "", details: Some("MFA requirement satisfied by claim in the token") };
pub(super) static SUCCESS_BY_MFA: Outcome =
    Outcome { code: 0, reason: "", details: Some("MFA completed in Azure AD") };
pub(super) static SESSION_CHOICE: Outcome = failure(16000, "Other");
pub(super) static WRONG_PASSWORD: Outcome = Outcome {
    code: 50126,
    reason: "Error validating credentials due to invalid username or password.",
    details: Some(
        "The user didn't enter the right credentials. It's expected to see some number of these errors in your logs \
         due to users making mistakes.",
    ),
};
pub(super) static LOCKED: Outcome = failure(
    50053,
    "Account is locked because user tried to sign in too many times with an incorrect user ID or password.",
);
pub(super) static EXPIRED_PASSWORD: Outcome = failure(50055, "Invalid password, entered expired password.");
pub(super) static SILENT: Outcome = failure(
    50058,
    "The application tried to perform a silent sign in and the user could not be silently signed in. The application \
     needs to start an interactive flow giving users an option to sign in. Contact app owner.",
);
pub(super) static MFA_REQUIRED: Outcome = Outcome {
    code: 50074,
    reason: "Strong Authentication is required.",
    details: Some("MFA required in Azure AD"),
};
pub(super) static MFA_BY_POLICY: Outcome = failure(
    50076,
    "Due to a configuration change made by your administrator, or because you moved to a new location, you must use \
     multi-factor authentication to access the resource.",
);
pub(super) static DEVICE_REQUIRED: Outcome = failure(50097, "Device authentication is required.");
pub(super) static NOT_ASSIGNED: Outcome = failure(
    50105,
    "Your administrator has configured the application to block users unless they are specifically granted \
     ('assigned') access to the application.",
);
pub(super) static KEEP_SIGNED_IN: Outcome =
    failure(50140, "This error occurred due to 'Keep me signed in' interrupt when the user was signing-in.");
pub(super) static REVOKED: Outcome =
    failure(50173, "The provided grant has expired due to it being revoked, a fresh auth token is needed.");
pub(super) static BLOCKED: Outcome = failure(
    53003,
    "Access has been blocked by Conditional Access policies. The access policy does not allow token issuance.",
);
pub(super) static NO_CONSENT: Outcome = failure(
    65001,
    "The user or administrator has not consented to use the application. Send an interactive authorization request for \
     this user and resource.",
);
pub(super) static STALE_TOKEN: Outcome = failure(
    70008,
    "The provided authorization code or refresh token is expired due to inactivity. Send a new interactive \
     authorization request for this user and resource.",
);
pub(super) static MFA_FAILED: Outcome = Outcome {
    code: 500_121,
    reason: "Authentication failed during strong authentication request.",
    details: Some("MFA denied; user declined the authentication"),
};

/// What may come before a sign-in that then succeeds, per thousand sign-ins. Wrong passwords are apart: they depend on
/// the person.
pub(super) static INTERRUPTIONS: &[(&Outcome, u32)] = &[
    (&KEEP_SIGNED_IN, 24),
    (&MFA_REQUIRED, 26),
    (&SILENT, 24),
    (&MFA_BY_POLICY, 9),
    (&STALE_TOKEN, 8),
    (&DEVICE_REQUIRED, 5),
    (&SESSION_CHOICE, 4),
    (&MFA_FAILED, 3),
    (&NO_CONSENT, 2),
    (&NOT_ASSIGNED, 2),
    (&BLOCKED, 1),
];

/// When a conditional access policy takes part.
#[derive(Clone, Copy)]
pub(super) enum Applies {
    /// Away from the company's networks.
    Outside,
    /// To clients that predate modern sign-in; still on trial.
    Legacy,
}

/// A conditional access policy.
pub(super) struct Policy {
    pub(super) name: &'static str,
    pub(super) grants: &'static [&'static str],
    pub(super) applies: Applies,
}

pub(super) static POLICIES: &[Policy] = &[
    Policy {
        name: "CA001 - Require MFA outside trusted networks",
        grants: &["Mfa"],
        applies: Applies::Outside,
    },
    Policy { name: "CA002 - Block legacy authentication", grants: &["Block"], applies: Applies::Legacy },
];

/// Second factors: `authMethod` as the records name it, and how common it is.
pub(super) static FACTORS: &[(&str, u32)] = &[
    ("Mobile app notification", 70),
    ("Text message", 12),
    ("OATH verification code", 12),
    ("FIDO2 security key", 6),
];

/// A kind of service account.
pub(super) struct Clockwork {
    /// Account name; a number follows.
    pub(super) name: &'static str,
    pub(super) display: &'static str,
    pub(super) app: &'static str,
    /// Whether it is an application with a secret; otherwise it is a user account that a program signs in with.
    pub(super) principal: bool,
    /// Minutes between two sign-ins.
    pub(super) period: i64,
    /// How many minutes a sign-in may be late.
    pub(super) jitter: f64,
    /// Part of sign-ins that fail.
    pub(super) failures: f64,
    /// Whether it rests at the weekend.
    pub(super) weekdays: bool,
    pub(super) legacy: Option<&'static Legacy>,
}

pub(super) static SERVICES: &[Clockwork] = &[
    Clockwork {
        name: "svc-backup",
        display: "Backup for M365",
        app: "Office 365 SharePoint Online",
        principal: true,
        period: 240,
        jitter: 0.4,
        failures: 0.002,
        weekdays: false,
        legacy: None,
    },
    Clockwork {
        name: "svc-scanner",
        display: "Scan to mail",
        app: "Office 365 Exchange Online",
        principal: false,
        period: 80,
        jitter: 9.0,
        failures: 0.004,
        weekdays: true,
        legacy: Some(&SMTP),
    },
    Clockwork {
        name: "svc-hrsync",
        display: "Workday provisioning",
        app: "Workday",
        principal: true,
        period: 180,
        jitter: 0.3,
        failures: 0.003,
        weekdays: false,
        legacy: None,
    },
    Clockwork {
        name: "svc-ticketmail",
        display: "Ticket mailbox",
        app: "Office 365 Exchange Online",
        principal: false,
        period: 90,
        jitter: 1.0,
        failures: 0.002,
        weekdays: false,
        legacy: Some(&IMAP),
    },
    Clockwork {
        name: "svc-deploy",
        display: "Deployment pipeline",
        app: "Azure DevOps",
        principal: true,
        period: 200,
        jitter: 60.0,
        failures: 0.02,
        weekdays: true,
        legacy: None,
    },
    Clockwork {
        name: "svc-report",
        display: "Nightly reports",
        app: "Power BI Service",
        principal: false,
        period: 360,
        jitter: 3.0,
        failures: 0.01,
        weekdays: false,
        legacy: None,
    },
    Clockwork {
        name: "svc-monitor",
        display: "Synthetic monitoring",
        app: "Microsoft Office",
        principal: false,
        period: 120,
        jitter: 0.1,
        failures: 0.005,
        weekdays: false,
        legacy: None,
    },
    Clockwork {
        name: "svc-siem",
        display: "SIEM connector",
        app: "Microsoft Defender Portal",
        principal: true,
        period: 120,
        jitter: 0.2,
        failures: 0.001,
        weekdays: false,
        legacy: None,
    },
];

/// Names by the office that they are common at: given names, family names.
pub(super) static NAMES: &[(&str, &[&str], &[&str])] = &[
    (
        "Leeds",
        &[
            "Olivia",
            "Jack",
            "Amelia",
            "Harry",
            "Isla",
            "Thomas",
            "Ava",
            "George",
            "Emily",
            "Oliver",
            "Sophie",
            "James",
            "Grace",
            "William",
            "Lily",
            "Daniel",
            "Freya",
            "Samuel",
            "Aisha",
            "Mohammed",
            "Charlotte",
            "Ben",
            "Priya",
            "Callum",
            "Hannah",
            "Liam",
            "Zara",
            "Joseph",
            "Megan",
            "Adam",
        ],
        &[
            "Smith", "Jones", "Taylor", "Brown", "Wilson", "Hughes", "Walker", "Hall", "Clarke", "Green",
            "Ward", "Khan", "Ahmed", "Booth", "Sykes", "Firth", "Barker", "Holroyd", "Ackroyd", "Whitaker",
            "Murphy", "O'Neill", "Shaw", "Patel", "Nowak", "Fletcher", "Hirst", "Crossley", "Mercer",
            "Lister",
        ],
    ),
    (
        "Boston",
        &[
            "Emma",
            "Michael",
            "Ashley",
            "Joshua",
            "Jessica",
            "Matthew",
            "Sarah",
            "Ryan",
            "Lauren",
            "Kevin",
            "Nicole",
            "Brian",
            "Rachel",
            "Tyler",
            "Maria",
            "Jose",
            "Wei",
            "Andrew",
            "Katherine",
            "Sean",
            "Julia",
            "Marcus",
        ],
        &[
            "Johnson",
            "Williams",
            "Garcia",
            "Miller",
            "Davis",
            "Rodriguez",
            "Martinez",
            "Anderson",
            "Thompson",
            "White",
            "Sullivan",
            "Kelly",
            "Chen",
            "Nguyen",
            "Cohen",
            "Rossi",
            "Silva",
            "Kim",
            "Foster",
            "Brooks",
            "Doherty",
        ],
    ),
    (
        "Lyon",
        &[
            "Camille",
            "Lucas",
            "Manon",
            "Hugo",
            "Léa",
            "Louis",
            "Chloé",
            "Nicolas",
            "Julie",
            "Antoine",
            "Élodie",
            "Mathieu",
            "Inès",
            "Jérôme",
            "Claire",
            "François",
            "Amina",
            "Karim",
        ],
        &[
            "Martin",
            "Bernard",
            "Dubois",
            "Thomas",
            "Robert",
            "Richard",
            "Petit",
            "Durand",
            "Leroy",
            "Moreau",
            "Lefèvre",
            "Fontaine",
            "Chevalier",
            "Benali",
            "Perrin",
            "Garnier",
            "Mercier",
            "Guérin",
        ],
    ),
    (
        "Pune",
        &[
            "Aarav", "Ananya", "Rohan", "Sneha", "Aditya", "Pooja", "Rahul", "Neha", "Vikram", "Kavita",
            "Sanjay", "Meera", "Amit", "Isha", "Nikhil", "Shreya", "Omkar", "Deepa",
        ],
        &[
            "Sharma",
            "Deshpande",
            "Kulkarni",
            "Joshi",
            "Patil",
            "Iyer",
            "Reddy",
            "Gupta",
            "Naik",
            "Jadhav",
            "Shinde",
            "Mehta",
            "Rao",
            "Verma",
            "Singh",
            "Chavan",
            "Bhosale",
            "Nair",
        ],
    ),
];

/// The index of an app in [`APPS`].
pub(super) fn app(name: &str) -> usize {
    APPS.iter().position(|app| app.name == name).expect("the tables name only apps of the catalogue")
}

/// A town of [`CITIES`].
pub(super) fn town(name: &str) -> &'static City {
    CITIES.iter().find(|city| city.name == name).expect("the tables name only known towns")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_app_that_is_named_exists() {
        let departments = DEPARTMENTS.iter().flat_map(|department| department.apps);
        let weighted = departments.chain(COMMON_APPS).chain(OPTIONAL_APPS).map(|(name, _)| *name);
        let listed = [COMPANIONS, VALUABLE_APPS].concat();
        let used =
            CAMPAIGNS.iter().map(|campaign| campaign.app).chain(SERVICES.iter().map(|service| service.app));
        for name in weighted.chain(listed).chain(used) {
            assert_eq!(APPS[app(name)].name, name);
        }
    }

    #[test]
    fn every_town_that_is_named_exists() {
        let offices =
            OFFICES.iter().flat_map(|office| office.homes.iter().chain([&office.city, &office.gateway]));
        for name in offices.chain(DESTINATIONS).chain(RESORTS).chain(FOREIGN) {
            assert_eq!(town(name).name, *name);
        }
        assert!(OFFICES.iter().all(|office| NAMES.iter().any(|(city, ..)| *city == office.city)));
    }

    #[test]
    fn names_are_unique() {
        let apps: BTreeSet<_> = APPS.iter().map(|app| app.name).collect();
        let towns: BTreeSet<_> = CITIES.iter().map(|city| city.name).collect();
        assert_eq!((apps.len(), towns.len()), (APPS.len(), CITIES.len()));
    }
}
