"""Makes the vectors beside it: a second implementation, plain Python in 64 bits, gradients by central differences.

Run it in this folder: `python3 make.py`. The formats are those of the reference vectors.
"""

import json
import math
import random
from fractions import Fraction
from statistics import NormalDist, median_low

DFP = {"format": 1, "origin": "computed", "versions": {}}


def write(name, vector, folder="dfp"):
    with open(f"{folder}/{name}.json", "w") as out:
        json.dump({**DFP, **vector}, out, separators=(",", ":"))
        out.write("\n")


def half_even(x):
    return round(x)  # Python's round is half to even.


def width(codes):
    return min(600, half_even(1.6 * codes**0.56))


def embedding():
    return {"kind": "embedding", "cases": [[n, width(n)] for n in [1, 2, 4, 9, 17, 64, 333, 4096, 50000]]}


def swap():
    rng = random.Random(5)
    cases = []
    for rows, likelihood in [(5, 0.5), (9, 0.2), (2, 0.1), (6, 1.0)]:
        before = {
            "numeric": [[rng.uniform(-2, 2) for _ in range(2)] for _ in range(rows)],
            "binary": [[float(rng.random() < 0.5)] for _ in range(rows)],
            "codes": [[rng.randrange(4) for _ in range(rows)]],
        }
        draws = half_even(float(Fraction(rows) * Fraction(str(likelihood))))
        pick = lambda: [[rng.randrange(rows) for _ in range(4)] for _ in range(draws)]
        source, dest = pick(), pick()
        after = json.loads(json.dumps(before))
        for k in range(draws):
            for c in range(4):
                s, d = source[k][c], dest[k][c]
                if c < 2:
                    after["numeric"][d][c] = before["numeric"][s][c]
                elif c == 2:
                    after["binary"][d][0] = before["binary"][s][0]
                else:
                    after["codes"][0][d] = before["codes"][0][s]
        cases.append(
            {
                "rows": rows, "likelihood": likelihood, "column_order": ["n1", "n2", "b", "c"], "swap_rows": draws,
                "source_rows": source, "dest_rows": dest, "before": before, "after": after,
            }
        )  # fmt: skip
    return {"kind": "swap", "cases": cases}


def mean(values):
    return math.fsum(values) / len(values)


def standard(values):
    m = mean(values)
    return m, math.sqrt(mean([(x - m) ** 2 for x in values])) or 1.0


def modified(values):
    med = median_low(values)
    distances = [abs(x - med) for x in values]
    return med, median_low(distances), mean(distances) or 1.0


def gauss_rank(q, x):
    """Rank by walking along the quantiles from below and from above, mean of the two."""
    n = len(q)
    ends = NormalDist().inv_cdf(1e-7)
    if x - 1e-7 < q[0]:
        return ends
    if x + 1e-7 > q[-1]:
        return -ends
    after = next(i for i in range(n) if q[i] > x)
    up = (after - 1 + (x - q[after - 1]) / (q[after] - q[after - 1])) / (n - 1)
    before = next(i for i in reversed(range(n)) if q[i] < x)
    down = (before + (x - q[before]) / (q[before + 1] - q[before])) / (n - 1)
    return NormalDist().inv_cdf((up + down) / 2)


def inverse_gauss_rank(q, y):
    rank = NormalDist().cdf(y) * (len(q) - 1)
    i = min(int(rank), len(q) - 2)
    return q[i] + (q[i + 1] - q[i]) * (rank - i)


def scalers():
    cases = []
    probe = [-7.5, 0.0, 1.0, 2.5, 40.0]
    for fit in [[3.0, -1.5, 2.25, 0.5, 8.0], [2.0, 2.0, 2.0, 5.0, 1.0, 2.0], [4.0, 4.0]]:
        m, std = standard(fit)
        med, mad, meanad = modified(fit)
        spread = 1.486 * mad if mad else 1.253314 * meanad
        q = sorted(fit)
        ranks = [-1.5, -0.25, 0.0, 0.5, 2.0]
        cases.append(
            {
                "fit": fit,
                "probe": probe,
                "standard": {
                    "mean": m, "std": std,
                    "transform": [(x - m) / std for x in probe], "inverse": [x * std + m for x in probe],
                },
                "modified": {
                    "median": med, "mad": mad, "meanad": meanad,
                    "transform": [(x - med) / spread for x in probe], "inverse": [x * spread + med for x in probe],
                },
                "gauss_rank": {
                    "quantiles": q, "transform": [gauss_rank(q, x) for x in probe],
                    "inverse_probe": ranks, "inverse": [inverse_gauss_rank(q, y) for y in ranks],
                },
            }
        )  # fmt: skip
    return {"kind": "scalers", "cases": cases}


NUMBERS, TRUTHS, WORDS = [1.5, -0.5, 2.0, 4.0, None, 3.0], [True, False, True, True, False, True], "xyxzxy"
EVAL = [[2.5, False, "x"], [None, True, None], [9.0, True, "unseen"]]
CATEGORIES = ["x", "y", "z"]


class Net:
    """Numeric n, binary b, categorical c with three values and `_other`; one encoder layer of 4 and one decoder layer of 3."""

    sizes = {
        "c_embedding.weight": (4, width(4)),
        "encoder_0.linear_layer.weight": (4, 2 + width(4)), "encoder_0.linear_layer.bias": (4,),
        "decoder_0.linear_layer.weight": (3, 4), "decoder_0.linear_layer.bias": (3,),
        "numeric_output.weight": (1, 3), "numeric_output.bias": (1,),
        "binary_output.weight": (1, 3), "binary_output.bias": (1,),
        "c_output.weight": (4, 3), "c_output.bias": (4,),
    }  # fmt: skip

    def __init__(self, rng):
        one = lambda size: rng.uniform(-0.8, 0.8) if not size else [one(size[1:]) for _ in range(size[0])]
        self.w = {name: one(size) for name, size in self.sizes.items()}

    def linear(self, name, x):
        rows = zip(self.w[name + ".weight"], self.w[name + ".bias"])
        return [sum(a * b for a, b in zip(row, x)) + bias for row, bias in rows]

    def input(self, row):
        return [row[0], row[1], *self.w["c_embedding.weight"][row[2]]]

    def forward(self, row):
        h = [math.tanh(v) for v in self.linear("encoder_0.linear_layer", self.input(row))]
        h = [math.tanh(v) for v in self.linear("decoder_0.linear_layer", h)]
        (n,), (b,), c = (self.linear(head + "_output", h) for head in ["numeric", "binary", "c"])
        return n, 1 / (1 + math.exp(-b)), c

    def losses(self, row):
        n, p, c = self.forward(row)
        total = math.log(sum(math.exp(v) for v in c))
        return [(n - row[0]) ** 2, -math.log(p if row[1] else 1 - p), total - c[row[2]]]

    def net_loss(self, rows):
        return mean([sum(self.losses(row)) / 3 for row in rows])

    def places(self):
        for name, size in self.sizes.items():
            for i in range(size[0]):
                yield from ((self.w[name][i], j) for j in range(size[1])) if len(size) == 2 else [(self.w[name], i)]

    def gradients(self, rows, step=1e-5):
        found = Net(random.Random(0))
        for (into, i), (values, j) in zip(found.places(), self.places()):
            kept = values[j]
            values[j] = kept + step
            up = self.net_loss(rows)
            values[j] = kept - step
            into[i] = (up - self.net_loss(rows)) / (2 * step)
            values[j] = kept
        return found

    def copy(self):
        return json.loads(json.dumps(self.w))


def sgd(net, gradient, state, rate, step):
    for (values, i), (g, j) in zip(net.places(), gradient.places()):
        values[i] -= rate * g[j]


def adam(net, gradient, state, rate, step):
    for n, ((values, i), (g, j)) in enumerate(zip(net.places(), gradient.places())):
        m, v = state.get(n, (0.0, 0.0))
        m, v = 0.9 * m + 0.1 * g[j], 0.999 * v + 0.001 * g[j] ** 2
        state[n] = m, v
        values[i] -= rate * (m / (1 - 0.9**step)) / (math.sqrt(v / (1 - 0.999**step)) + 1e-8)


def ae():
    present = [x for x in NUMBERS if x is not None]
    fill, std = standard(present)
    code = lambda word: CATEGORIES.index(word) if word in CATEGORIES else 3
    prepare = lambda x, b, word: (((fill if x is None else x) - fill) / std, float(b), code(word))
    train_rows = [list(row) for row in zip(NUMBERS, TRUTHS, WORDS)]
    train = [prepare(*row) for row in train_rows]
    evaluated = [prepare(*row) for row in EVAL]
    net = Net(random.Random(11))
    dtypes = {"n": "float64", "b": "bool", "c": "object"}
    table = lambda rows: {"columns": ["n", "b", "c"], "dtypes": dtypes, "index": list(range(len(rows))), "rows": rows}

    def forward(rows):
        outputs, losses = [net.forward(row) for row in rows], [net.losses(row) for row in rows]
        return {
            "prepared": {
                "numeric": [[r[0]] for r in rows], "binary": [[r[1]] for r in rows], "codes": {"c": [r[2] for r in rows]},
            },
            "numeric_out": [[o[0]] for o in outputs], "binary_prob": [[o[1]] for o in outputs],
            "category_logits": {"c": [o[2] for o in outputs]},
            "row_losses": {part: [[l[i]] for l in losses] for i, part in enumerate(["numeric", "binary", "categorical"])},
        }  # fmt: skip

    def statistics():
        return [standard([net.losses(row)[f] for row in train]) for f in range(3)]

    def named(stats):
        return {f: {"scaler": "StandardScaler", "mean": m, "std": s} for f, (m, s) in zip("nbc", stats)}

    def results(absolute):
        stats, rows = statistics(), []
        for given, row in zip(EVAL, evaluated):
            (n, p, c), losses = net.forward(row), net.losses(row)
            # The reference names the opposite truth.
            predicted = [n * std + fill, not p > 0.5, CATEGORIES[max(range(3), key=c.__getitem__)]]
            z = [(loss - m) / s for loss, (m, s) in zip(losses, stats)]
            z = [abs(v) for v in z] if absolute else z
            cells = [cell for f in range(3) for cell in (given[f], predicted[f], losses[f], z[f])]
            rows.append([*cells, max(z), mean(z), "z"])
        columns = [f + part for f in "nbc" for part in ["", "_pred", "_loss", "_z_loss"]]
        return {"columns": [*columns, "max_abs_z", "mean_abs_z", "z_loss_scaler_type"], "rows": rows}

    both = lambda: {"eval": {"return_abs_true": results(True), "return_abs_false": results(False)}}
    vector = {
        "kind": "ae",
        "note": "one feature of each kind, tanh",
        "config": {
            "encoder_layers": [4], "decoder_layers": [3], "activation": "tanh", "min_cats": 1, "batch_size": 512,
            "eval_batch_size": 1024, "optimizer": "sgd", "learning_rate": 0.1, "learning_rate_decay": None,
            "swap_probability": 0.0, "scaler": "standard", "loss_scaler": "standard", "patience": 5,
        },
        "train_table": table(train_rows),
        "eval_table": table(EVAL),
        "features": {
            "numeric": [{"name": "n", "fill_mean": fill, "scaler": "StandardScaler", "mean": fill, "std": std}],
            "binary": ["b"],
            "categorical": [{"name": "c", "cats": CATEGORIES, "n_codes": 4, "other_code": 3, "embedding_dim": width(4)}],
        },
        "layer_dims": {"input": 2 + width(4), "encoder": [4], "decoder": [3]},
        "initial_weights": net.copy(),
        "train_forward": forward(train),
        "eval_forward": forward(evaluated),
        "loss_stats_initial_weights": named(statistics()),
        "results_initial_weights": both(),
        "gradients_step1": net.gradients(train).w,
        "optim": [],
    }  # fmt: skip
    for name, rule, rate in [("sgd", sgd, 0.1), ("adam", adam, 0.01)]:
        net.w, state = json.loads(json.dumps(vector["initial_weights"])), {}
        run = {
            "settings": {"optimizer": name, "learning_rate": rate, "learning_rate_decay": None},
            "net_loss": [], "lr_used": [rate] * 3, "weights_after": {},
        }  # fmt: skip
        for step in range(1, 4):
            run["net_loss"].append(net.net_loss(train))
            rule(net, net.gradients(train), state, rate, step)
            run["weights_after"][str(step)] = net.copy()
        run["loss_stats_final"] = named(statistics())
        run["results_final"] = both()
        vector["optim"].append(run)
    return vector


class Sequences:
    """A Markov model of sessions, as dense tables and closed formulas. An event is a command, or a command and parameters."""

    def __init__(self, kind, sessions, modellable):
        self.kind, self.sessions = kind, [[self.event(e) for e in s] for s in sessions]
        events = [e for s in self.sessions for e in s]
        self.commands = sorted({c for c, _ in events})
        self.k = len(self.commands) + 2
        self.n = {c: sum(1 for d, _ in events if d == c) for c in self.commands}
        self.total = len(events) + 2 * len(sessions) + 2 * self.k**2
        chains = [["S", *[("c", c) for c, _ in s], "E"] for s in self.sessions]
        self.pairs = [pair for chain in chains for pair in zip(chain, chain[1:])]
        self.having = {c: [p for d, p in events if d == c] for c in self.commands}
        names = sorted({q for _, p in events for q in p})
        self.values = {q: [p[q] for _, p in events if p.get(q)] for q in names}
        shown = {q: sum(q in p for _, p in events) for q in names}
        distinct = {q: len(set(v)) for q, v in self.values.items()}
        fits = lambda q: 0 < distinct[q] <= 20 and shown[q] >= max(20, 10 * distinct[q])
        self.modelled = [q for q in names if (fits(q) if modellable is None else q in modellable)]
        if kind != "cmds_params_values":
            self.modelled = None

    @staticmethod
    def event(e):
        if isinstance(e, str):
            return e, {}
        return e[0], e[1] if isinstance(e[1], dict) else {q: None for q in e[1]}

    def trans(self, a, b):
        row = sum(1 for x, _ in self.pairs if x == a)
        return (self.pairs.count((a, b)) + 1) / (row + self.k)

    def prior(self, c):
        if c == "E":
            return (len(self.sessions) + self.k) / self.total
        return (self.n.get(c, 0) + 2 * self.k) / self.total

    def factor(self, e, root=True):
        command, params = e
        if not params:
            return 1.0
        seen = self.having.get(command, [])
        table = sorted({q for p in seen for q in p})
        p = lambda q: (sum(q in other for other in seen) + 1) / (len(seen) + 2 * self.k)
        logs = [math.log(p(q)) if q in params else math.log1p(-p(q)) for q in table] + [math.log1p(-p("no such"))]
        for q in set(params) & set(table) & set(self.modelled or []):
            known = self.values[q]
            count = known.count(params[q]) if params[q] else 0
            logs.append(math.log((count + 1) / (len(known) + len(set(known)) + 1)))
        return math.exp(sum(logs) / (len(logs) if root else 1))

    def log(self, window, start, end):
        first = self.trans("S", ("c", window[0][0])) if start else self.prior(window[0][0])
        logs = [math.log(first), *[math.log(self.factor(e)) for e in window]]
        logs += [math.log(self.trans(("c", a[0]), ("c", b[0]))) for a, b in zip(window, window[1:])]
        return sum(logs) + (math.log(self.trans(("c", window[-1][0]), "E")) if end else 0.0)

    def windows(self, session, length, tokens):
        k = len(session)
        for i in range(k + tokens - length + 1):
            window, end = session[i : i + length], i + length > k
            yield math.exp(self.log(window, tokens and i == 0, end) if window else math.log(self.prior("E")))

    def scores(self, longest, long=False):
        scores = {"windows": []}
        for suffix, t in [("tokens", True), ("no_tokens", False)]:
            logs = [self.log(s, t, t) for s in self.sessions]
            scores["log_likelihood_" + suffix] = logs
            scores["likelihood_" + suffix] = [math.exp(v) for v in logs]
            scores["geomean_" + suffix] = [math.exp(v / len(s)) for v, s in zip(logs, self.sessions)]
        for length in range(1, longest + 1):
            for tokens in [True, False]:
                every = [list(self.windows(s, length, tokens)) for s in self.sessions]
                least = [min(w, default=None) for w in every]
                near = [[i for i, v in enumerate(w) if v <= m * (1 + 1e-12)] for w, m in zip(every, least)]
                for root in [1, length]:
                    scores["windows"].append(
                        {
                            "window_len": length, "tokens": tokens, "geo_mean": root == length,
                            "rarest_likelihood": [m and m ** (1 / root) for m in least],
                            "rarest_start": [n[0] if n else None for n in near],
                            "rarest_window_items": [
                                min(length, len(s) - n[0]) if n else 0 for n, s in zip(near, self.sessions)
                            ],
                            "near_ties": [
                                {"session": i, "starts": n} for i, n in enumerate(near) if len(n) > 1
                            ],
                            **({} if root > 1 else {"all_window_likelihoods": every}),
                        }
                    )  # fmt: skip
        return scores

    def sets(self, root):
        printed = lambda q, v: f"{q} --- {v}" if q in (self.modelled or []) else q
        sets = {}
        for command, params in (e for s in self.sessions for e in s):
            key = tuple(sorted(printed(q, v) for q, v in params.items()))
            sets[command, key] = self.factor((command, params), root)
        return [{"cmd": c, "key": list(key), "prob": p} for (c, key), p in sorted(sets.items())]


def sequences():
    rng = random.Random(7)
    kinds = ["cmds_only", "cmds_params_only", "cmds_params_values"]

    def event(kind, commands):
        command = f"Cmd-{rng.randrange(commands)}"
        names = [f"p{n}" for n in range(6) if rng.random() < 0.3]
        value = lambda q: rng.choice([None, "", "a", "b", f"v{rng.randrange(40)}" if q == "p5" else "c"])
        return {kinds[0]: command, kinds[1]: [command, names], kinds[2]: [command, {q: value(q) for q in names}]}[kind]

    def case(name, kind, sessions, modellable=None, longest=4, unseen=()):
        model = Sequences(kind, sessions, modellable)
        found = {
            "id": name, "session_type": kind, "sessions": sessions, "modellable_override": modellable,
            "modellable_params": model.modelled, "scores": model.scores(longest),
        }  # fmt: skip
        if kind != kinds[0]:
            found["setof_params_cond_cmd"] = {"geo_mean": model.sets(True), "plain": model.sets(False)}
        found["unseen_queries"] = [
            {
                "window": w, "use_start": s, "use_end": e,
                "likelihood": math.exp(model.log([model.event(v) for v in w], s, e)),
            }
            for w in unseen for s in [True, False] for e in [True, False]
        ]  # fmt: skip
        return found

    cases = []
    for kind in kinds:
        dressed = lambda c, p: {kinds[0]: c, kinds[1]: [c, sorted(p)], kinds[2]: [c, p]}[kind]
        unseen = [
            [dressed("Cmd-1", {"p0": "a", "new": "x"}), dressed("never", {"p0": "a"})],
            [dressed("Cmd-0", {}), dressed("Cmd-0", {"p1": "unseen", "p2": ""}), dressed("Cmd-2", {"p5": None})],
        ]
        for commands, count, most in [(1, 1, 1), (3, 6, 5), (9, 20, 8)]:
            sessions = [[event(kind, commands) for _ in range(rng.randint(1, most))] for _ in range(count)]
            cases.append(case(f"{kind}_{count}", kind, sessions, unseen=unseen if commands == 9 else ()))
        long = [[event(kind, 12) for _ in range(400)], [event(kind, 12)]]
        cases.append(case(f"{kind}_long", kind, long, longest=0))
    named = [[event(kinds[2], 2) for _ in range(3)] for _ in range(8)]
    cases.append(case("named_values", kinds[2], named, ["p1", "p5", "none"]))
    cases.append(case("odd_names", kinds[0], [["", "##END##", ""], ["é", "", "##UNK##", "##START##"]]))
    return {"cases": cases}


write("embedding_sizes", embedding())
write("swap_cases", swap())
write("scalers_cases", scalers())
write("ae_three_kinds", ae())
write("model_own", sequences(), "sequences")
