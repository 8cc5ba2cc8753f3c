//! Attacks on mail and files, labelled.

use super::super::calendar::{MINUTE, SECOND, Ticks, day_of};
use super::super::company::Person;
use super::super::device::{Device, Program};
use super::super::network::Origin;
use super::super::plot::{Intensity, Loud, Medium, Mimicry, Plot, Quiet, Scenario, anyone};
use super::super::run::Event;
use super::Exchange;
use super::behaviour::{administers, department_site, own_site, seat};
use super::record::{Change, Commander, File, Mail, Seat, change, command, file, mail, sign_in};
use super::tables::{FILES, HOSTILE, LIBRARIES};

const fn scenario(
    name: &'static str,
    fits: fn(&Person) -> bool,
    stage: for<'c, 'o> fn(&mut Plot<'c, 'o, Exchange>, Intensity),
) -> Scenario<Exchange> {
    Scenario { name, fits, stage }
}

/// Every scenario.
pub(super) static SCENARIOS: &[Scenario<Exchange>] = &[
    scenario("inbox-rule-export", anyone, inbox_rule_export),
    scenario("delegate-abuse", administers, delegate_abuse),
    scenario("mass-download", anyone, mass_download),
    scenario("transport-rule", administers, transport_rule),
    scenario("audit-disabled", administers, audit_disabled),
    scenario("consent-grant", anyone, consent_grant),
    scenario("internal-phishing", anyone, internal_phishing),
];

impl<'c> Plot<'c, '_, Exchange> {
    fn keep(&mut self, event: Event) {
        self.add(event, &self.person.upn);
    }

    fn stranger(&mut self, at: Ticks, mimicry: Mimicry) -> Seat {
        let intruder = self.intruder(mimicry);
        self.seated(&intruder.device, &intruder.origin, at)
    }

    fn insider(&mut self, day: i32, at: Ticks) -> Seat {
        match self.own_setting(day, at) {
            Some((device, origin)) => self.seated(device, &origin, at),
            None => self.stranger(at, Mimicry::Country),
        }
    }

    fn seated(&mut self, device: &Device, origin: &Origin, at: Ticks) -> Seat {
        let day = day_of(at);
        let program = Program::Browser(device.browser(&mut self.dice));
        let client = device.client(program, day, self.world.calendar.epoch_day(day));
        seat(self.world, self.person, device, (&client, origin), day)
    }

    /// A stranger, or the victim's own hand if it is to be quiet.
    fn hand(&mut self, day: i32, at: Ticks, intensity: Intensity) -> Seat {
        match intensity {
            Loud => self.stranger(at, Mimicry::Nothing),
            Medium => self.stranger(at, Mimicry::Machine),
            Quiet => self.insider(day, at),
        }
    }

    /// When an attack of that intensity begins.
    fn beginning(&mut self, day: i32, intensity: Intensity) -> Ticks {
        let hour = match intensity {
            Loud => self.dice.real(0.0, 22.0),
            Medium => self.dice.real(14.0, 21.0),
            Quiet => self.working_hour(0.4),
        };
        self.local(day, hour)
    }

    fn enter(&mut self, at: Ticks, seat: &Seat, wrong: usize) {
        for guess in 0..wrong {
            let before = at - (guess as Ticks + 1) * 12 * SECOND;
            let error = Some(("50126", "InvalidUserNameOrPassword"));
            let event = sign_in(self.world, self.person, seat, before, error, &mut self.dice);
            self.keep(event);
        }
        let event = sign_in(self.world, self.person, seat, at, None, &mut self.dice);
        self.keep(event);
    }

    /// Hostile commands by their names, in order; `other` is whose things they are about.
    fn order(&mut self, start: Ticks, seconds: i64, names: &[&str], seat: &Seat, other: &Person) -> Ticks {
        let mut at = start;
        for name in names {
            at += self.dice.int(2 * SECOND, seconds * SECOND);
            let (_, given) =
                HOSTILE.iter().find(|(known, _)| known == name).expect("hostile commands are in the table");
            let commander = Commander::Person(self.person, seat);
            let event = command(self.world, &commander, given, (at, other), &mut self.dice);
            self.keep(event);
        }
        at
    }

    /// Reads mail, of `items` messages at a time at most.
    fn read(
        &mut self,
        start: Ticks,
        hours: f64,
        times: usize,
        seat: &Seat,
        (owner, items): (Option<&str>, usize),
    ) {
        for at in self.spread(start, hours, times) {
            let items = 1 + self.dice.below(items);
            let read = Mail { at, operation: "MailItemsAccessed", owner, items };
            let event = mail(self.world, self.person, seat, &read, &mut self.dice);
            self.keep(event);
        }
    }

    fn colleague(&mut self) -> &'c Person {
        self.log.colleague(&mut self.dice)
    }
}

/// Rules that hide and forward, then everything is taken.
fn inbox_rule_export(plot: &mut Plot<'_, '_, Exchange>, intensity: Intensity) {
    let day = plot.day(1);
    let start = plot.beginning(day, intensity);
    let seat = plot.stranger(start, intensity.of(Mimicry::Nothing, Mimicry::Machine, Mimicry::Country));
    plot.enter(start, &seat, intensity.of(4, 1, 0));
    let names: &[&str] = intensity.of(
        &["hide", "forward", "mailbox", "search", "searchexport", "export"],
        &["forward", "mailbox", "export"],
        &["redirect"],
    );
    let other = plot.colleague();
    let at = plot.order(start + MINUTE, intensity.of(30, 200, 900), names, &seat, other);
    let reads = plot.count(intensity.of((30, 50), (10, 18), (4, 8)));
    plot.read(at, intensity.of(0.5, 2.0, 5.0), reads, &seat, (None, intensity.of(60, 25, 6)));
}

/// An administrator opens somebody's mailbox to himself, and reads.
fn delegate_abuse(plot: &mut Plot<'_, '_, Exchange>, intensity: Intensity) {
    let day = plot.day(1);
    let start = plot.beginning(day, intensity);
    let seat = plot.hand(day, start, intensity);
    let mut at = start;
    for _ in 0..intensity.of(4, 2, 1) {
        let other = plot.colleague();
        let names: &[&str] = intensity.of(&["full", "sendas"], &["full"], &["folder"]);
        at = plot.order(at, intensity.of(40, 300, 900), names, &seat, other);
        let reads = plot.count(intensity.of((8, 14), (6, 9), (4, 7)));
        plot.read(
            at + MINUTE,
            intensity.of(0.4, 1.5, 5.0),
            reads,
            &seat,
            (Some(&other.upn), intensity.of(50, 20, 5)),
        );
    }
}

/// File after file.
fn mass_download(plot: &mut Plot<'_, '_, Exchange>, intensity: Intensity) {
    let day = plot.day(1);
    let start = plot.beginning(day, intensity);
    let seat = plot.hand(day, start, intensity);
    if intensity != Quiet {
        plot.enter(start - MINUTE, &seat, 0);
    }
    let count = plot.count(intensity.of((120, 200), (50, 80), (22, 32)));
    let other = plot.colleague();
    let sites =
        [department_site(plot.person), department_site(other), own_site(other), own_site(plot.person)];
    let known = intensity.of(4, 3, 1);
    for at in plot.spread(start, intensity.of(0.4, 1.5, 5.0), count) {
        let site = &sites[plot.dice.below(known)];
        let (folder, name) = (plot.dice.pick(LIBRARIES), plot.dice.pick(FILES));
        let operation = plot.dice.pick(&["FileDownloaded", "FileDownloaded", "FileSyncDownloadedFull"]);
        let event =
            file(plot.world, plot.person, &seat, &File { at, operation, site, folder, name }, &mut plot.dice);
        plot.keep(event);
    }
}

/// A rule for everybody's mail.
fn transport_rule(plot: &mut Plot<'_, '_, Exchange>, intensity: Intensity) {
    let day = plot.day(1);
    let start = plot.beginning(day, intensity);
    let seat = plot.hand(day, start, intensity);
    if intensity != Quiet {
        plot.enter(start - MINUTE, &seat, intensity.of(3, 0, 0));
    }
    let names: &[&str] = intensity.of(
        &["ruleoff", "blindcopy", "nospam", "connector"],
        &["blindcopy", "ruleoff"],
        &["nospam", "ruleoff"],
    );
    let other = plot.colleague();
    plot.order(start, intensity.of(60, 400, 1500), names, &seat, other);
}

/// Nobody is to see what comes next.
fn audit_disabled(plot: &mut Plot<'_, '_, Exchange>, intensity: Intensity) {
    let day = plot.day(1);
    let start = plot.beginning(day, intensity);
    let seat = plot.hand(day, start, intensity);
    let names: &[&str] = intensity.of(
        &["auditoff", "tenantaudit", "bypass", "mailboxaudit", "agelimit"],
        &["tenantaudit", "bypass", "mailboxaudit"],
        &["bypass", "agelimit"],
    );
    let other = plot.colleague();
    let at = plot.order(start, intensity.of(20, 200, 900), names, &seat, other);
    let reads = plot.count(intensity.of((10, 16), (4, 8), (1, 3)));
    plot.read(at, 1.0, reads, &seat, (Some(&other.upn), 20));
}

/// An application gets rights, and reads with them from its own machines.
fn consent_grant(plot: &mut Plot<'_, '_, Exchange>, intensity: Intensity) {
    let day = plot.day(2);
    let start = plot.beginning(day, Quiet);
    let own = plot.insider(day, start);
    let name = intensity.of("Mail Backup Pro", "Calendar Helper", "Miro Sync");
    let scope = intensity.of(
        "Scope: offline_access Mail.ReadWrite Mail.Send Files.ReadWrite.All",
        "Scope: offline_access Mail.Read Contacts.Read",
        "Scope: offline_access User.Read Mail.Read",
    );
    let told: [(&str, &str, (&str, &str)); 4] = [
        ("Add service principal.", "ServicePrincipal", ("AppAddress", "https://login.example/callback")),
        ("Consent to application.", "ServicePrincipal", ("ConsentAction.Permissions", scope)),
        ("Add delegated permission grant.", "ServicePrincipal", ("DelegatedPermissionGrant.Scope", scope)),
        (
            "Update application – Certificates and secrets management ",
            "Application",
            ("KeyDescription", "KeyType=Password"),
        ),
    ];
    let mut at = start;
    for (operation, kind, what) in told.iter().take(intensity.of(4, 3, 2)) {
        at += plot.dice.int(SECOND, 20 * SECOND);
        let told = Change { at, operation, target: (kind, name), changes: &[*what] };
        let event = change(plot.world, plot.person, &own, &told, &mut plot.dice);
        plot.keep(event);
    }
    let mut seat = plot.stranger(at, intensity.of(Mimicry::Nothing, Mimicry::Machine, Mimicry::Country));
    "Client=REST;Client=RESTSystem;;".clone_into(&mut seat.mail);
    seat.application = plot.world.company.identifier(name).to_string();
    let reads = plot.count(intensity.of((30, 50), (12, 20), (5, 8)));
    plot.read(at + MINUTE, intensity.of(2.0, 10.0, 20.0), reads, &seat, (None, intensity.of(80, 20, 6)));
}

/// The account writes to everybody, and hides the answers.
fn internal_phishing(plot: &mut Plot<'_, '_, Exchange>, intensity: Intensity) {
    let day = plot.day(1);
    let start = plot.beginning(day, intensity);
    let seat = plot.stranger(start, intensity.of(Mimicry::Nothing, Mimicry::Machine, Mimicry::Country));
    plot.enter(start, &seat, intensity.of(2, 0, 0));
    let other = plot.colleague();
    plot.order(start + MINUTE, 60, intensity.of(&["hide"], &["hide"], &[]), &seat, other);
    let count = plot.count(intensity.of((60, 100), (25, 40), (8, 12)));
    for at in plot.spread(start + 2 * MINUTE, intensity.of(0.3, 1.5, 5.0), count) {
        let sent = Mail { at, operation: "Send", owner: None, items: 1 };
        let event = mail(plot.world, plot.person, &seat, &sent, &mut plot.dice);
        plot.keep(event);
        if plot.dice.chance(0.3) {
            let erased = Mail { at: at + SECOND, operation: "HardDelete", owner: None, items: 1 };
            let event = mail(plot.world, plot.person, &seat, &erased, &mut plot.dice);
            plot.keep(event);
        }
    }
}
