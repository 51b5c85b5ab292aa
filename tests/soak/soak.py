"""The soak with faults from its begin to its end, and the judgement of what the books say."""

import heapq
import signal
import statistics
import time

import ledger
from faults import HARMLESS, Faults
from stage import CLIENT_WINDOW, GROUPS, GUEST, PATIENCE_S, SAMPLE_EVERY_S, processor_seconds

SETTLE_S, QUIET_S, PROOF_S = 10, 4, 10
# Each kind of fault stretches some buffers and tables, which are kept for use again.
RSS_GROWTH_MAX, RSS_JUDGED_FROM_S = 0.05, 900
# Every run that may be long enough for that, with some to spare.
STRETCHED_FROM_S = 600
# What clients and servers may be told while something is wrong: ESME_RSYSERR, ESME_RMSGQFUL, ESME_RTHROTTLED, ESME_RX_T_APPN.
STATUSES = {"esme": {0x04, 0x08, 0x14, 0x58}, "smsc": {0x08, 0x14, 0x58, 0x64}}
# A server that a reload has removed is unbound: what crossed that is answered ESME_RINVBNDSTS.
STATUSES_OF_REMOVED_SERVERS = {0x04}


class Soak(Faults):
    """Load with faults, then load in peace, then quiet; and what must have held."""

    def run(self):
        for name in self.ports:
            self.start_peer(name)
        time.sleep(1)
        self.serve = self.running.start("serve", "serve", "--config", str(self.write_configuration()))
        self.running.wait_for_line("serve", "smppmux ready")
        for name in GROUPS:
            self.start_peer(name)
        self.wait_for_bound("at the start")
        self.descriptors_before = self.descriptors()
        self.processor_before, self.load_begin = processor_seconds(self.serve), time.monotonic()
        self.say(f"all bound; {self.rate:.0f} messages/s, seed {self.options.seed}")
        seconds = self.options.seconds
        if seconds >= STRETCHED_FROM_S and not self.options.only:
            self.stretch()
        self.later(2, self.fault)
        while (left := seconds - (time.monotonic() - self.load_begin)) > 0:
            self.work(min(60, left))
            self.say(self.progress())
        self.end_faults()
        self.wait_for_bound("when the faults were over")
        self.work(SETTLE_S)
        refused = self.refused()
        self.work(PROOF_S)
        self.refused_in_peace = self.refused() - refused
        self.load_seconds = time.monotonic() - self.load_begin
        self.processor_used = processor_seconds(self.serve) - self.processor_before
        self.tell_all("quiet")
        self.work(QUIET_S)
        self.work(PATIENCE_S, self.all_delivered)
        self.queue = self.control("GET", "/api/v1/queue")[1]
        # The one of this very question may still be open.
        self.work(QUIET_S, lambda: self.descriptors() == self.descriptors_before)
        self.descriptors_after = self.descriptors()
        self.tell_all("end")
        for name, process in self.processes.items():
            if process.wait(PATIENCE_S * 2):
                self.trouble(f"{name} ended with {process.returncode}")
        self.drained_books()
        self.serve.send_signal(signal.SIGTERM)
        self.serve_code = self.serve.wait(PATIENCE_S)

    def work(self, seconds, until=None):
        """Lets time pass: due faults, samples, books. Ends early where `until` holds; gives whether it did."""
        end, next_check = time.monotonic() + seconds, 0.0
        while (now := time.monotonic()) < end:
            while self.events and self.events[0][0] <= now:
                heapq.heappop(self.events)[2]()
            if now >= self.next_sample:
                self.next_sample = now + SAMPLE_EVERY_S
                self.sample()
            is_more = self.books.read(1 << 16)
            self.look_at_connections()
            if now >= next_check:
                next_check = now + 0.5
                self.look_at_processes()
                if until and until():
                    return True
            if not is_more:
                time.sleep(0.02)
            else:
                time.sleep(0.005)
        return False

    def drained_books(self):
        while self.books.read():
            pass

    def refused(self):
        self.drained_books()
        return self.books.refused()

    def all_delivered(self):
        self.drained_books()
        return self.books.all_delivered()

    def progress(self):
        books, (_, resident, descriptors, spare) = self.books, self.samples[-1]
        messages = books.sent("esme") + books.sent("smsc")
        return (
            f"{messages} messages, {messages / (time.monotonic() - self.load_begin):.0f}/s, {sum(self.counts.values())} faults, "
            f"{resident} KiB, {spare} of it spare buffers, {descriptors} descriptors"
        )

    def losses_without_cause(self):
        """Sessions that smppmux ended though nothing had asked for it."""
        found = []
        for life, account, cause, stamp in self.books.losses:
            at = (stamp & ((1 << 44) - 1)) / 1000
            is_asked = cause == ledger.UNBOUND and any(
                excused in (account, life.name) and begin <= at <= end for excused, begin, end in self.excuses
            )
            if cause != ledger.CUT and not is_asked:
                found.append(f"{life.name} account {account} {'unbound' if cause == ledger.UNBOUND else 'dropped'} at {at:.1f}")
        return found

    def judge_of_memory(self):
        """All of it must be flat, and so must what is not spare buffers: these may hide that the rest grows."""
        warm = [sample for sample in self.samples if sample[0] >= self.load_seconds * 0.25]
        quarter, is_short = max(1, len(warm) // 4), self.load_seconds < RSS_JUDGED_FROM_S
        checks = []
        for what, figure in (("memory", lambda sample: sample[1]), ("memory but for spare buffers", lambda sample: sample[1] - sample[3])):
            first, last = (statistics.median(map(figure, part)) for part in (warm[:quarter], warm[-quarter:]))
            checks.append((
                f"{what} flat after warm-up", is_short or last <= first * (1 + RSS_GROWTH_MAX),
                f"medians {first:.0f} KiB and {last:.0f} KiB, {last / first - 1:+.1%}{', not judged in so short a run' * is_short}",
            ))  # fmt: skip
        return checks

    def judge(self):
        books, figures = self.books, self.books.summary()
        allowed = {**STATUSES, "smsc": STATUSES["smsc"] | (STATUSES_OF_REMOVED_SERVERS if self.counts.get("reload") else set())}
        unknown = {role: dict(books.statuses[role]) for role in allowed if set(books.statuses[role]) - allowed[role]}
        losses = self.losses_without_cause()
        lost_sessions = sum(books.is_lossy(session) for session in books.accounts)
        bound = lost_sessions * CLIENT_WINDOW
        zero = lambda *names: (not any(figures[name] for name in names), ", ".join(f"{figures[name]} {name}" for name in names))
        show = lambda statuses: {f"{status:#x}": count for status, count in sorted(statuses.items())}
        accepted = figures["MT accepted"], figures["MO accepted"]
        return [
            ("MT: at most once, and what got ESME_ROK arrived", *zero("MT lost", "MT twice")),
            ("MO: what got ESME_ROK arrived, twice only from a lost session",
             figures["MO lost"] == figures["MO twice without a lost session"] == 0 and figures["MO twice"] <= bound,
             f"{figures['MO lost']} lost, {figures['MO twice']} twice (at most {bound}: {lost_sessions} lost sessions), "
             f"{figures['MO twice without a lost session']} of them without a cause"),
            ("each only where it may go", *zero("MT misrouted", "MO misrouted", "invented")),
            ("each request one answer", *zero("MT answered twice", "MO answered twice")),
            ("nothing wrong at any session", not books.wrongs, str(dict(books.wrongs) or "none")),
            ("errors of the expected kinds only", not unknown, f"MT {show(books.statuses['esme'])}, MO {show(books.statuses['smsc'])}"),
            *self.judge_of_the_harmless(),
            ("no error once the faults are over", self.refused_in_peace == 0, f"{self.refused_in_peace} in {PROOF_S} s"),
            ("no session lost without a cause", not losses, f"{len(losses)} of {len(books.losses)}: {losses[:5]}"),
            ("there was load", accepted[0] > 0.8 * figures["MT sent"] and accepted[1] > 0.8 * figures["MO sent"] > 0,
             f"{accepted[0]} of {figures['MT sent']} MT and {accepted[1]} of {figures['MO sent']} MO got ESME_ROK"),
            ("the queue is empty", not self.queue.get("messages") and not self.queue.get("dead_letters"),
             str({key: value for key, value in self.queue.items() if isinstance(value, int)})),
            *self.judge_of_memory(),
            ("descriptors flat", self.descriptors_after == self.descriptors_before, f"{self.descriptors_before} and {self.descriptors_after}"),
            ("nothing else", not self.troubles, str(self.troubles or "none")),
            ("smppmux drained and exited 0", self.serve_code == 0, f"exit code {self.serve_code}"),
        ]  # fmt: skip

    def errors_by_account(self):
        return {route: count for (role, route), count in sorted(self.books.refused_of.items()) if role == "esme"}

    def judge_of_the_harmless(self):
        """Where nothing was done but what nobody may notice: an account that a reload removes notices it, the others do not."""
        if not set(self.counts) <= HARMLESS:
            return []
        errors = {route: count for route, count in self.errors_by_account().items() if route != GUEST}
        return [("no error at an account that stays", not errors, f"by account: {errors or 'none'}")]

    def report(self):
        """Prints all figures; true if all held."""
        figures = self.books.summary()
        messages = figures["MT sent"] + figures["MO sent"]
        print(f"{messages} messages in {self.load_seconds:.0f} s, {messages / self.load_seconds:.0f}/s; smppmux used "
              f"{self.processor_used / self.load_seconds:.1%} of a CPU, {self.processor_used / messages * 1e6:.1f} us a message")  # fmt: skip
        print("faults: " + ", ".join(f"{count} {kind}" for kind, count in sorted(self.counts.items())))
        print("; ".join(f"{name} {count}" for name, count in figures.items()))
        print(f"MT errors by account: {self.errors_by_account()}")
        step = max(1, len(self.samples) // 30)
        print("memory and descriptors: " + ", ".join(f"{second:.0f} s {size} KiB ({spare} spare) {count}" for second, size, count, spare in self.samples[::step]))
        checks = self.judge()
        for what, held, text in checks:
            print(f"{'ok    ' if held else 'FAILED'}  {what}: {text}")
        return all(held for _, held, _ in checks)


def soak(options, running, folder, rate):
    it = Soak(options, running, folder, rate)
    it.run()
    return it.report()
