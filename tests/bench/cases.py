"""What is measured, and what it is held against. The figures to reach are ratios of one run."""

from dataclasses import dataclass, field

import servers as s


@dataclass
class Against:
    """OURS is at most (or at least) FACTOR times OTHER, in the figure KEY; without OTHER: FACTOR itself."""
    key: str
    factor: float
    other: str = None
    ours: str = "ours"
    at_least: bool = False


@dataclass
class Case:
    name: str
    scenario: str
    runs: dict  # label: (server, more options of the load generator) or a server
    figure: tuple  # (key, unit, by which to divide): what the table shows
    options: tuple = ()
    patients: int = 0
    doctors: int = 0
    wanted: list = field(default_factory=list)
    shows: tuple = ()  # more figures for the table
    seconds: float = 120


def server_of(case, label):
    """(server, more options of the load generator)"""
    entry = case.runs[label]
    return entry if isinstance(entry, tuple) else (entry, ())


US = ("cpu_us", "us CPU/message", 1)
V1 = ("--subprotocol", "telemed.v1")


def peers_of(key, node, bun, limit=None, names=("node", "bun", "limit")):
    wanted = [Against(key, factor, name) for factor, name in zip((node, bun, limit), names) if factor]
    return wanted


def chat(name, options, *factors):
    """With the peers on a Unix socket, as the relay has it, and with them on TCP, where they usually are."""
    runs = {"ours": s.Ours, "node": s.Node, "bun": s.Bun, "limit": s.Limit,
            "node, TCP": s.NodeTcp, "bun, TCP": s.BunTcp, "limit, TCP": s.LimitTcp}
    wanted = peers_of("cpu_us", *factors) + peers_of("cpu_us", *factors, names=("node, TCP", "bun, TCP", "limit, TCP"))
    return Case(name, "chat", runs, US, options, patients=200, wanted=wanted)


def cases(smoke):
    """All of them; SMOKE: so small that they only show that they work."""
    def n(full, small):
        return small if smoke else full

    idle, many, behind = n(10000, 40), n(18700, 60), n(14700, 60)
    crowd, watchers, storm, heavy = n(1000, 24), n(500, 16), n(5000, 42), n(2000, 40)
    talk = n(("--connections", 200, "--pairs", 50), ("--connections", 8, "--pairs", 3))
    users = 200 + (many + 7) // 8
    stormers = (storm + 6) // 7  # with one connection each before
    return [
        chat("chat, 1 under way", (*talk, "--in-flight", 1), 0.75, 1.1, 1.25),
        chat("chat, 8 under way", (*talk, "--in-flight", 8), 0.75, 1.1, 1.25),
        chat("chat, 4,000 characters", (*talk, "--text", 4000), 0.5, 1.0),
        Case(f"chat among {idle:,} and {many:,} idle", "chat",
             {"without": (s.Ours, V1), "ours": (s.Ours, ("--idle", idle, *V1)), "more": (s.Ours, ("--idle", many, *V1)),
              f"node, {heavy:,}": (s.Node, ("--idle", heavy))}, US, talk, patients=users,
             shows=("memory", "memory_ws-relay"),
             wanted=[Against("cpu_us", 1.1, "without"), Against("cpu_us", 1.1, "without", "more"),
                     Against("memory_ws-relay", 4096, ours="more")]),
        Case("chat through lighttpd", "chat",
             {"ours": s.OursThroughLighttpd, "node": s.NodeThroughLighttpd, "node direct": s.NodeTcp}, US, talk, patients=200,
             shows=("per_s",),
             wanted=[Against("cpu_us", 0.8, "node"), Against("per_s", 0.9, "node direct", at_least=True)]),
        Case(f"chat among {behind:,} idle through two lighttpd", "chat",
             {"without": (s.OursThroughTwo, V1), "ours": (s.OursThroughTwo, ("--idle", behind, *V1))}, US, talk, patients=users,
             shows=("memory", "memory_ws-relay", "memory_lighttpd", "memory_at_first"),
             wanted=[Against("memory", 16384), Against("cpu_us", 1.1, "without")]),
        Case(f"broadcast to {crowd:,}", "broadcast",
             {"ours": s.Ours, "node": s.Node, "bun": s.Bun, "limit": s.LimitBroadcast, "node, TCP": s.NodeTcp, "bun, TCP": s.BunTcp},
             US, ("--connections", crowd), patients=(crowd + 7) // 8,
             wanted=peers_of("cpu_us", 0.7, 1.0) + peers_of("cpu_us", 0.7, 1.0, names=("node, TCP", "bun, TCP"))),
        Case(f"{crowd:,} connect", "connect",
             {"ours": s.Ours, "v1": (s.Ours, V1), "node": s.Node, "bun": s.Bun}, ("cpu_s", "s CPU", 1),
             ("--connections", crowd, "--at-once", crowd), patients=crowd, shows=("bytes", "seconds"),
             wanted=[Against("cpu_s", 0.1, "node"), Against("bytes", 0.05, "node")]),
        Case(f"status flips before {watchers:,}", "flip",
             {"ours": s.Ours, "v1": (s.Ours, V1), "node": s.Node, "bun": s.Bun}, ("cpu_us", "ms CPU/flip", 1000),
             ("--connections", watchers), patients=watchers, doctors=1, shows=("first_p50_ms", "first_last_ms"),
             wanted=[Against("cpu_us", 0.25, "node"), Against("first_last_ms", 25)]),
        Case("GET /doctors", "http",
             {"ours": s.OursThroughLighttpd, "304": (s.OursThroughLighttpd, ("--conditional",)), "node": s.NodeTcp,
              "node, plain": s.NodeTcpPlain, "bun": s.BunTcp, "bun, plain": s.BunTcpPlain, "static file": s.Static},
             ("per_s", "requests/s", 1),
             ("--path", "/doctors", "--connections", 32), patients=1, doctors=n(100, 5), shows=("cpu_us",),
             wanted=[Against("per_s", 8, "node, plain", at_least=True), Against("per_s", 0.5, "bun, plain", at_least=True),
                     Against("per_s", 8, "node", at_least=True), Against("per_s", 0.5, "bun", at_least=True),
                     Against("status", 304, ours="304", at_least=True)]),
        Case(f"storm of {storm:,}", "storm",
             {"ours": (s.OursThroughLighttpd, V1), "seed's": s.OursThroughLighttpd, "node": s.NodeTcp},
             ("per_s", "connects/s", 1), ("--connections", storm, "--at-once", storm, "--idle", stormers), patients=stormers,
             shows=("refused", "heard_s"),
             wanted=[Against("refused", 0), Against("refused", 0, ours="seed's"), Against("per_s", 1, "node", at_least=True),
                     Against("per_s", 1, "node", "seed's", at_least=True)]),
        Case(f"storm of {storm:,} who were not there", "storm", {"ours": (s.OursThroughLighttpd, V1)}, ("per_s", "connects/s", 1),
             ("--connections", storm, "--at-once", storm), patients=storm, shows=("refused", "heard_s"),
             wanted=[Against("refused", 0)]),
        Case("start", "start", {"ours": None}, ("seconds", "s", 1), wanted=[Against("seconds", 1)]),
    ]


def smoke_cases():
    """The small form, with each kind of server once for what is done to it."""
    seen = set()
    chosen = cases(True)
    for case in chosen:
        for label in list(case.runs):
            kind, more = server_of(case, label)
            kind = next((k for k in (s.NodeThroughLighttpd, s.Node, s.Bun, s.Limit) if kind and issubclass(kind, k)), kind)
            key = (case.scenario, kind, "--text" in case.options, tuple(word for word in more if str(word).startswith("--")))
            if key in seen:
                del case.runs[label]
            seen.add(key)
    return [case for case in chosen if case.runs]


def growth():
    """Ours alone, at three sizes each."""
    talk = ("--connections", 200, "--pairs", 50)

    def by(what, sizes, kind, *options):
        return {f"{size:,}": (kind, (what, size, *options)) for size in sizes}
    return [
        Case("chat, by connections that are idle", "chat", by("--idle", (0, 6000, 18000), s.Ours, *V1), US, talk, patients=2450,
             shows=("memory_ws-relay",)),
        Case("chat, by characters", "chat", by("--text", (40, 400, 4000), s.Ours), US, talk, patients=200),
        Case("chat, by messages under way in a pair", "chat", by("--in-flight", (1, 8, 64), s.Ours), US, talk, patients=200),
        Case("broadcast, by connections", "broadcast", by("--connections", (100, 1000, 10000), s.Ours, *V1), US, patients=1250),
        Case("all connect, by users", "connect", by("--connections", (250, 500, 1000), s.Ours, "--at-once", 1000),
             ("cpu_s", "s CPU", 1), patients=1000, shows=("bytes", "seconds")),
        Case("all connect, by users, v1", "connect", by("--connections", (250, 500, 1000), s.Ours, "--at-once", 1000, *V1),
             ("cpu_s", "s CPU", 1), patients=1000, shows=("bytes", "seconds")),
        Case("status flips, by users", "flip", by("--connections", (125, 500, 2000), s.Ours), ("cpu_us", "ms CPU/flip", 1000),
             patients=2000, doctors=1),
        Case("GET /doctors, by connections", "http", by("--connections", (4, 32, 256), s.OursThroughLighttpd),
             ("per_s", "requests/s", 1), ("--path", "/doctors"), patients=1, doctors=100, shows=("cpu_us",)),
    ]
