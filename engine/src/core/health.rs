//! Whether one server is well, by how it answers what it is sent: pure arithmetic on signs of illness.
//!
//! A request that is not answered in time is such a sign, and so is an answer that says that the server itself cannot do its
//! work. Enough of them make it ill: it is *ejected* for a while, then on *trial*, where it gets a few requests at a time, and
//! after so many good answers in a row it is well again; one bad one ends the trial. Each ejection is longer than the one
//! before, up to a limit; time without one makes the next shorter again.
//! Invariants: good answers need not be told while the server is well, so that a plain answer costs nothing (their count is
//! there anyway); what was sent before a trial began counts neither for nor against it.

use super::settings::EjectionSettings;
use super::time::Moment;
use super::wire::Status;
use std::time::Duration;

/// Whether an answer says that the server itself is ill.
///
/// Not what is wrong with a message (whatever says "invalid", and ESME_RX_P_APPN, ESME_RX_R_APPN, ESME_RDELIVERYFAILURE), not
/// what says "not so fast" (the pace's), and none of those that servers use for all and sundry (ESME_RSUBMITFAIL,
/// ESME_RUNKNOWNERR, a vendor's): one client that sends nonsense must not take a server away from all others.
pub(super) const fn is_of_the_ill(status: Status) -> bool {
    matches!(
        status,
        // It is partly down; the application behind it is, for now; it takes a bound session for one that is not.
        Status::ESME_RSYSERR | Status::ESME_RX_T_APPN | Status::ESME_RINVBNDSTS
    )
}

/// Why a server was ejected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EjectionReason {
    /// So many requests in a row had no answer in time.
    Timeouts,
    /// Too large a part of its answers said that it is ill, or did not come in time.
    Errors,
    /// It was on trial.
    Trial,
}

impl EjectionReason {
    /// All of them, in the order in which they are counted.
    pub const ALL: [Self; 3] = [Self::Timeouts, Self::Errors, Self::Trial];

    /// A word for it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Timeouts => "timeouts",
            Self::Errors => "errors",
            Self::Trial => "trial",
        }
    }
}

/// How a server is, as one core sees it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HealthState {
    /// It gets its share.
    #[default]
    Well,
    /// It gets no new submits while another server can have them.
    Ejected,
    /// It gets a few, to see how it answers.
    Trial,
}

/// How a request ended that shows how the server is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sign {
    /// An answer, whatever it says of the message.
    Good,
    /// An answer that says that the server is ill.
    Error,
    /// No answer in time.
    Timeout,
    /// It came back, or went with its session: it says nothing.
    None,
}

impl Sign {
    pub(super) const fn of(status: Status) -> Self {
        if is_of_the_ill(status) {
            Self::Error
        } else {
            Self::Good
        }
    }
}

/// What a sign makes of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Finding {
    Nothing,
    /// It is ill, if it may be.
    Ill(EjectionReason),
    /// Its trial is over, and it is well.
    Well,
}

/// How one server is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Health {
    state: HealthState,
    /// Since when.
    since: Moment,
    /// When an ejection is over.
    until: Moment,
    /// Ejections that count for how long the next one is.
    ejections: u32,
    in_a_row: InARow,
    window: ErrorWindow,
    /// Good answers in this trial.
    good: u32,
    /// Requests of this trial without an answer.
    under_way: u32,
    /// When the last of them was sent.
    last_sent_at: Moment,
    pub(super) armed_at: Moment,
    /// By reason.
    pub(super) counts: [u64; EjectionReason::ALL.len()],
}

/// Timeouts without an answer between them.
#[derive(Clone, Copy, Debug, Default)]
struct InARow {
    /// At so many different moments: what was sent together runs out together, and is one sign.
    timeouts: u32,
    /// The server's answers at the last of them.
    answers: u64,
    began_at: Moment,
    last_at: Moment,
}

impl InARow {
    /// One timeout more; how many there are, and for how long.
    fn count(&mut self, now: Moment, answers: u64) -> (u32, Duration) {
        if self.timeouts == 0 || self.answers != answers {
            *self = Self {
                timeouts: 1,
                answers,
                began_at: now,
                last_at: now,
            };
        } else if self.last_at < now {
            self.timeouts = self.timeouts.saturating_add(1);
            self.last_at = now;
        }
        (self.timeouts, now.since(self.began_at))
    }
}

/// Timeouts eject only what has lasted: one client's burst, sent within less than this, must not. Nobody's own time to answer is waited for twice.
pub(super) fn shortest_row(response_timeout: Duration) -> Duration {
    response_timeout.min(Duration::from_secs(1))
}

/// A while that began with a sign of illness, and what has come since.
#[derive(Clone, Copy, Debug, Default)]
struct ErrorWindow {
    ends_at: Moment,
    /// The server's answers before it.
    answers_before: u64,
    errors: u32,
    timeouts: u32,
}

impl ErrorWindow {
    /// One sign more; `true` when there are too many for the answers that have come. Where timeouts are among them that must
    /// have gone on for `row_min`.
    fn count(
        &mut self,
        now: Moment,
        settings: &EjectionSettings,
        row_min: Duration,
        sign: Sign,
        answers: u64,
    ) -> bool {
        let is_error = sign == Sign::Error;
        if now >= self.ends_at {
            *self = Self {
                ends_at: now + settings.window,
                answers_before: answers.saturating_sub(u64::from(is_error)),
                errors: 0,
                timeouts: 0,
            };
        }
        self.errors += u32::from(is_error);
        self.timeouts += u32::from(!is_error);
        let ill = u64::from(self.errors) + u64::from(self.timeouts);
        let seen = answers.saturating_sub(self.answers_before) + u64::from(self.timeouts);
        let left_at_least = settings.window.saturating_sub(row_min.min(settings.window / 2));
        let is_burst = self.timeouts > 0 && self.ends_at.since(now) > left_at_least;
        let is_too_much = ill * 100 >= seen * u64::from(settings.errors_percent);
        seen >= u64::from(settings.answers_min) && is_too_much && !is_burst
    }
}

impl Health {
    pub(super) fn new() -> Self {
        Self {
            state: HealthState::Well,
            since: Moment::START,
            until: Moment::START,
            ejections: 0,
            in_a_row: InARow::default(),
            window: ErrorWindow::default(),
            good: 0,
            under_way: 0,
            last_sent_at: Moment::START,
            armed_at: Moment::NEVER,
            counts: [0; EjectionReason::ALL.len()],
        }
    }

    pub(super) const fn state(&self) -> HealthState {
        self.state
    }

    pub(super) fn is_well(&self) -> bool {
        self.state == HealthState::Well
    }

    pub(super) fn is_on_trial(&self) -> bool {
        self.state == HealthState::Trial
    }

    /// It gets no new submits: it is ejected, or as many as a trial allows are under way.
    pub(super) const fn is_aside(&self, settings: &EjectionSettings) -> bool {
        match self.state {
            HealthState::Well => false,
            HealthState::Ejected => true,
            HealthState::Trial => self.under_way >= settings.rise,
        }
    }

    /// A request that was sent at `sent_at` has ended like this. `answers`: all that the server has given in time, this one
    /// included. `row_min`: [`shortest_row`].
    pub(super) fn judge(
        &mut self,
        now: Moment,
        settings: &EjectionSettings,
        row_min: Duration,
        sent_at: Moment,
        sign: Sign,
        answers: u64,
    ) -> Finding {
        match (self.state, sign) {
            (HealthState::Well, Sign::Error | Sign::Timeout) => {
                self.judge_well(now, settings, row_min, sign, answers)
            }
            (HealthState::Trial, sign) if sent_at >= self.since => {
                self.under_way = self.under_way.saturating_sub(1);
                match sign {
                    Sign::Error | Sign::Timeout => Finding::Ill(EjectionReason::Trial),
                    Sign::Good => {
                        self.good += 1;
                        if self.good >= settings.rise {
                            Finding::Well
                        } else {
                            Finding::Nothing
                        }
                    }
                    Sign::None => Finding::Nothing,
                }
            }
            _ => Finding::Nothing,
        }
    }

    fn judge_well(
        &mut self,
        now: Moment,
        settings: &EjectionSettings,
        row_min: Duration,
        sign: Sign,
        answers: u64,
    ) -> Finding {
        let (in_a_row, lasts) = match sign {
            Sign::Timeout => self.in_a_row.count(now, answers),
            _ => (0, Duration::ZERO),
        };
        let is_too_much = self.window.count(now, settings, row_min, sign, answers);
        if settings.timeouts > 0 && in_a_row >= settings.timeouts && lasts >= row_min {
            Finding::Ill(EjectionReason::Timeouts)
        } else if settings.errors_percent > 0 && is_too_much {
            Finding::Ill(EjectionReason::Errors)
        } else {
            Finding::Nothing
        }
    }

    /// Ejects it. The answer is for how long.
    pub(super) fn eject(
        &mut self,
        now: Moment,
        settings: &EjectionSettings,
        reason: EjectionReason,
    ) -> Duration {
        if self.state == HealthState::Well {
            let well_for = now.since(self.since).as_nanos();
            let forgiven = well_for / settings.min.as_nanos().max(1);
            self.ejections = self
                .ejections
                .saturating_sub(u32::try_from(forgiven).unwrap_or(u32::MAX));
        }
        self.ejections = self.ejections.saturating_add(1);
        let doublings = (self.ejections - 1).min(31);
        let lasts = settings.min.saturating_mul(1 << doublings).min(settings.max);
        self.counts[reason as usize] += 1;
        self.enter(HealthState::Ejected, now);
        self.until = now + lasts;
        lasts
    }

    /// When its ejection is over, or what a trial waits for will not come any more; `None` while neither is so.
    pub(super) fn next_look(&self, patience: Duration) -> Option<Moment> {
        match self.state {
            HealthState::Well => None,
            HealthState::Ejected => Some(self.until),
            HealthState::Trial => (self.under_way > 0).then(|| self.last_sent_at + patience),
        }
    }

    /// From now on it is on trial, or on another one.
    pub(super) fn try_out(&mut self, now: Moment) {
        self.enter(HealthState::Trial, now);
    }

    /// It is well as far as anybody knows.
    pub(super) fn recover(&mut self, now: Moment) {
        self.enter(HealthState::Well, now);
    }

    /// It was lost, and is there again: what looked like illness may have been the loss. How long it has been well goes on counting.
    pub(super) fn overlook(&mut self) {
        (self.in_a_row, self.window) = (InARow::default(), ErrorWindow::default());
    }

    /// It may be another server: nothing is held against it, nor in its favour.
    pub(super) fn forget(&mut self, now: Moment) {
        self.ejections = 0;
        self.enter(HealthState::Well, now);
    }

    /// A request of its trial has left.
    pub(super) fn sent(&mut self, now: Moment) {
        if self.state == HealthState::Trial {
            self.under_way += 1;
            self.last_sent_at = now;
        }
    }

    fn enter(&mut self, state: HealthState, now: Moment) {
        (self.state, self.since) = (state, now);
        (self.good, self.under_way) = (0, 0);
        self.overlook();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SETTINGS: EjectionSettings = EjectionSettings::RECOMMENDED;
    const ROW_MIN: Duration = Duration::from_secs(1);

    /// A server that is judged, with the answers that it gives.
    struct Patient {
        health: Health,
        now: Moment,
        answers: u64,
    }

    impl Patient {
        fn new() -> Self {
            Self {
                health: Health::new(),
                now: Moment::START + Duration::from_secs(1_000),
                answers: 0,
            }
        }

        fn wait(&mut self, time: Duration) {
            self.now += time;
        }

        /// Good answers that nobody looks at.
        fn answers(&mut self, count: u64) {
            self.answers += count;
        }

        fn sign(&mut self, sign: Sign) -> Finding {
            self.answers += u64::from(sign != Sign::Timeout);
            if sign == Sign::Timeout {
                self.wait(ROW_MIN / 4);
            }
            let finding = self
                .health
                .judge(self.now, &SETTINGS, ROW_MIN, self.now, sign, self.answers);
            if let Finding::Ill(reason) = finding {
                self.health.eject(self.now, &SETTINGS, reason);
            }
            finding
        }

        /// Timeouts in a row, until it is ejected for them.
        fn falls_ill(&mut self) {
            (0..5).for_each(|_| assert!(self.sign(Sign::Timeout) != Finding::Well));
            assert_eq!(self.health.state(), HealthState::Ejected);
        }

        /// Waits until its ejection is over; the answer is how long that took.
        fn until_trial(&mut self) -> Duration {
            let until = self.health.next_look(Duration::ZERO).expect("it is ejected");
            let waited = until.since(self.now);
            self.now = until;
            self.health.try_out(self.now);
            waited
        }
    }

    /// Goal: none of the statuses that are a message's fault, or say that it comes too fast, is held against a server.
    #[test]
    fn few_statuses_are_signs_of_illness() {
        let ill = Status::ALL
            .iter()
            .filter(|status| is_of_the_ill(**status))
            .count();
        assert_eq!(ill, 3);
        for status in [
            Status::ESME_ROK,
            Status::ESME_RTHROTTLED,
            Status::ESME_RMSGQFUL,
            Status::ESME_RINVDSTADR,
            Status::ESME_RSUBMITFAIL,
            Status::ESME_RX_P_APPN,
            Status::ESME_RX_R_APPN,
            Status(0x0400),
        ] {
            assert_eq!(Sign::of(status), Sign::Good, "{status}");
        }
    }

    /// Goal: timeouts in a row eject, at just the configured number; one answer between them begins a new row.
    #[test]
    fn timeouts_in_a_row_eject() {
        let mut patient = Patient::new();
        for _ in 0..10 {
            for _ in 0..4 {
                assert_eq!(patient.sign(Sign::Timeout), Finding::Nothing);
            }
            patient.answers(20);
        }
        for _ in 0..4 {
            assert_eq!(patient.sign(Sign::Timeout), Finding::Nothing);
        }
        assert_eq!(
            patient.sign(Sign::Timeout),
            Finding::Ill(EjectionReason::Timeouts)
        );
        assert_eq!(
            patient.sign(Sign::Timeout),
            Finding::Nothing,
            "it is ejected already"
        );
    }

    /// Goal: what one client has sent at once, however much of it runs out, ejects nobody, nor does what it has sent within a moment; when
    /// it goes on for long enough, with timeouts at enough moments, it does.
    #[test]
    fn a_burst_of_timeouts_is_one_sign() {
        let mut health = Health::new();
        let mut now = Moment::START + Duration::from_secs(1_000);
        let mut judge = |now| health.judge(now, &SETTINGS, ROW_MIN, now, Sign::Timeout, 7);
        for _ in 0..100 {
            assert_eq!(judge(now), Finding::Nothing, "together");
        }
        for _ in 0..100 {
            now += Duration::from_millis(9);
            assert_eq!(judge(now), Finding::Nothing, "one by one");
        }
        now += Duration::from_millis(100);
        assert_eq!(judge(now), Finding::Ill(EjectionReason::Timeouts));

        let mut health = Health::new();
        let settings = EjectionSettings {
            errors_percent: 0,
            ..SETTINGS
        };
        for second in 0..4 {
            now += ROW_MIN;
            let mut judge = || health.judge(now, &settings, ROW_MIN, now, Sign::Timeout, 7);
            assert!((0..100).all(|_| judge() == Finding::Nothing), "after {second} s");
        }
    }

    /// Goal: for any mix of answers, a server is ejected for errors only where the part of bad ones since some moment within the
    /// window was as large as configured, over enough of them; and always, within two windows, where it stays so for so long.
    #[test]
    fn a_part_of_bad_answers_ejects() {
        for percent_bad in (0..=100_u32).step_by(5) {
            let mut patient = Patient::new();
            // A clean past does not excuse it.
            patient.answers(1_000_000);
            let (mut bad, mut seen, mut found) = (0_u32, 0, false);
            for number in 0..2_000_u32 {
                patient.wait(Duration::from_millis(10));
                seen += 1;
                // Spread evenly.
                let is_bad = (number + 1) * percent_bad / 100 > number * percent_bad / 100;
                bad += u32::from(is_bad);
                if !is_bad {
                    patient.answers(1);
                } else if patient.sign(Sign::Error) == Finding::Ill(EjectionReason::Errors) {
                    found = true;
                    break;
                }
            }
            assert_eq!(found, percent_bad >= 80, "{percent_bad} %");
            if found {
                assert!(seen <= 1_100, "{percent_bad} %: after {seen} answers");
                assert!(bad >= 16);
            }
        }
        let mut patient = Patient::new();
        for _ in 0..19 {
            assert_eq!(patient.sign(Sign::Error), Finding::Nothing, "too few to tell");
        }
        assert_eq!(patient.sign(Sign::Error), Finding::Ill(EjectionReason::Errors));
        let mut patient = Patient::new();
        for _ in 0..100 {
            patient.wait(Duration::from_secs(1));
            assert_eq!(
                patient.sign(Sign::Error),
                Finding::Nothing,
                "too few within the window"
            );
        }
    }

    /// Goal: a trial needs so many good answers to what was sent in it, and ends with one bad one; what was sent before counts for
    /// nothing, and no more requests are out than good answers are needed.
    #[test]
    fn a_trial_is_short() {
        let mut patient = Patient::new();
        let long_ago = patient.now;
        patient.falls_ill();
        assert!(patient.health.is_aside(&SETTINGS));
        assert_eq!(patient.until_trial(), SETTINGS.min);
        for sign in [Sign::Good, Sign::Error, Sign::Timeout] {
            let finding = patient
                .health
                .judge(patient.now, &SETTINGS, ROW_MIN, long_ago, sign, 0);
            assert_eq!(finding, Finding::Nothing);
        }
        for _ in 0..3 {
            assert!(!patient.health.is_aside(&SETTINGS));
            patient.health.sent(patient.now);
        }
        assert!(
            patient.health.is_aside(&SETTINGS),
            "as many as are needed are under way"
        );
        assert_eq!(patient.sign(Sign::None), Finding::Nothing);
        assert!(!patient.health.is_aside(&SETTINGS), "one came back");
        patient.health.sent(patient.now);
        assert_eq!(patient.sign(Sign::Good), Finding::Nothing);
        assert_eq!(patient.sign(Sign::Good), Finding::Nothing);
        assert_eq!(patient.sign(Sign::Good), Finding::Well);
        patient.health.try_out(patient.now);
        assert_eq!(patient.sign(Sign::Good), Finding::Nothing);
        assert_eq!(patient.sign(Sign::Error), Finding::Ill(EjectionReason::Trial));
    }

    /// Goal: a server that is ill in every trial is tried ever more rarely, down to the limit; one that was well for a while is
    /// ejected for a shorter time again.
    #[test]
    fn ejections_grow_and_are_forgiven() {
        let mut patient = Patient::new();
        patient.falls_ill();
        let mut waits = Vec::new();
        for _ in 0..8 {
            waits.push(patient.until_trial().as_secs());
            patient.health.sent(patient.now);
            assert_eq!(patient.sign(Sign::Timeout), Finding::Ill(EjectionReason::Trial));
        }
        assert_eq!(waits, [30, 60, 120, 240, 300, 300, 300, 300]);
        assert_eq!(patient.health.counts, [1, 0, 8]);
        patient.until_trial();
        patient.health.recover(patient.now);
        patient.wait(SETTINGS.min * 7);
        // A loss meanwhile takes none of that back.
        patient.health.overlook();
        patient.falls_ill();
        assert_eq!(
            patient.until_trial().as_secs(),
            120,
            "nine, seven of them forgiven, and one"
        );
    }
}
