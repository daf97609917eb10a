"""Genotypes, side by side with freebayes and bcftools: the same candidates forced on the same reads, one thread each.

  slice       NIST's alleles on a slice of NA12878: right genotypes, and the time
  decoys      candidates that NA12878 does not have, where the truth is known: how often they are called
  simulated   reads of a known genome (benchmarks/peers/genomes/simulated.py): right genotypes by kind of variant
  memory      the slice once and a hundred times on one sequence: peak memory, and time for a thousand records
"""

import argparse
import json
import os
import statistics
import subprocess
import tempfile
from collections import Counter, defaultdict
from datetime import date
from pathlib import Path

from genomes import callers, decoys, simulated, tiled
from variant import processor, version

ROOT = Path(__file__).resolve().parents[2]
DATA = Path(os.environ.get("KIBAN_TEST_DATA") or ROOT.parent / "shared" / "data") / "genome"
PARTS = ("slice", "decoys", "memory", "simulated")
LEAST_QUALITY = 30
CALLED_BARS = {"SNV": 0.01, "indel": 0.01, "homopolymer": 0.1, "STR": 0.1, "same site": 0.1}


def na12878():
    reference = DATA / "ucsc.hg19.chr20.unittest.fasta.gz"
    return callers.Sample(DATA / "NA12878_S1.chr20.10_10p1mb.bam", reference, "chr20:9999000-10101000")


def truth_of(sample):
    return callers.calls(DATA / "test_nist.b37_chr20_100kbp_at_10mb.vcf.gz", sample.reference)


def slice_of_na12878(kiban, folder, repetitions):
    sample, right = na12878(), {}
    truth = truth_of(sample)
    candidates = callers.normalised(DATA / "test_nist.b37_chr20_100kbp_at_10mb.vcf.gz", sample.reference, folder / "truth.vcf.gz")
    times = defaultdict(list)
    for _ in range(repetitions):
        for caller in callers.CALLERS:
            times[caller].append(callers.timed(caller, kiban, sample, candidates, folder / f"{caller}.vcf.gz"))
    for caller in callers.CALLERS:
        found = callers.calls(folder / f"{caller}.vcf.gz", sample.reference)
        least = LEAST_QUALITY if caller == "kiban" else 0
        right[caller] = Counter()
        for (position, ref, alt), call in truth.items():
            kind = "SNV" if len(ref) == len(alt) == 1 else "indel"
            own = found.get((position, ref, alt))
            right[caller][kind] += own is not None and own.dosage == call.dosage and own.quality >= least
    seconds = {caller: statistics.median(times[caller]) for caller in callers.CALLERS}
    for caller in callers.CALLERS:
        print(f"slice: {caller} {right[caller]['SNV']}/186 SNV, {right[caller]['indel']}/36 indels right in {seconds[caller]:.2f} s")
    met = (right["kiban"] == {"SNV": 186, "indel": 36} and seconds["kiban"] < seconds["freebayes"]
           and all(sum(right["kiban"].values()) > sum(right[peer].values()) for peer in ("freebayes", "bcftools")))
    return {"right": right, "seconds": seconds, "met": met}


def decoys_of_na12878(kiban, folder):
    sample = na12878()
    confident = [tuple(map(int, line.split()[1:3]))
                 for line in (DATA / "test_nist.b37_chr20_100kbp_at_10mb.bed").read_text().splitlines()]
    begin, end = confident[0][0] - 300, confident[-1][1] + 300
    lines = callers.run("samtools", "faidx", sample.reference, f"chr20:{begin}-{end}").decode().upper().splitlines()
    truth = [allele for allele in truth_of(sample) if begin + 300 < allele[0] < end - 300]
    region = decoys.Region(begin, "".join(lines[1:]), confident, truth)
    chosen = decoys.decoys(region, seed=1)
    results, met = {}, True
    for name, with_truth, apart in (("listed, all together", True, 0), ("listed, 40 bases apart", True, 40),
                                    ("withheld, all together", False, 0), ("withheld, 40 bases apart", False, 40)):
        called, of = Counter(), Counter(decoy.stratum for decoy in chosen)
        for part in spaced(chosen, apart):
            called += called_decoys(kiban, folder, sample, part, truth if with_truth else [])
        shares = {stratum: called[stratum] / of[stratum] for stratum in of}
        total = sum(called.values()) / sum(of.values())
        ok = total <= 0.001 if with_truth else all(shares[stratum] <= bar for stratum, bar in CALLED_BARS.items())
        met &= ok
        results[name] = {"called": called, "of": of, "met": ok}
        print(f"decoys, truth {name}: {100 * total:.2f} % called; "
              + ", ".join(f"{stratum} {called[stratum]}/{of[stratum]}" for stratum in CALLED_BARS) + ("" if ok else "  NOT met"))
    return {"runs": results, "met": met}


def spaced(chosen, apart):
    """Parts in which two are so many bases apart; one part for 0."""
    parts = []
    for decoy in chosen:
        for part in parts:
            if not apart or part[-1].position + len(part[-1].ref) + apart <= decoy.position:
                part.append(decoy)
                break
        else:
            parts.append([decoy])
    return parts


def called_decoys(kiban, folder, sample, chosen, truth):
    """How many of each stratum are found with QUAL >= 30; alleles keep their place, as Kiban writes records as they are."""
    lines = {(each.position, each.ref, each.alt): each.stratum for each in chosen}
    records = sorted(set(lines) | set(truth))
    text = callers.header("chr20", 63025520) + "".join(f"chr20\t{p}\t.\t{ref}\t{alt}\t.\t.\t.\n" for p, ref, alt in records)
    candidates, scored = folder / "decoys.vcf.gz", folder / "scored.vcf.gz"
    callers.write(candidates, text.encode())
    callers.kiban(kiban, sample, candidates, scored)
    called = Counter()
    for line in callers.run("bcftools", "view", "-H", scored).decode().splitlines():
        fields = line.split("\t")
        stratum = lines.get((int(fields[1]), fields[3], fields[4]))
        if stratum and fields[5] != "." and float(fields[5]) >= LEAST_QUALITY and "1" in fields[9].split(":")[0]:
            called[stratum] += 1
    return called


def simulations(kiban, folder, length):
    """What each had right: {(stratum, ploidy, depth): [(Kiban, freebayes) of each candidate]}."""
    right = defaultdict(list)
    for ploidy in (1, 2, 3):
        for depth in (5, 15, 30, 100):
            sample, candidates, found = simulated.sample(folder, 100 * ploidy + depth, ploidy, depth, length)
            truth = callers.normalised(candidates, sample.reference, folder / "normalised.vcf.gz")
            lines = callers.run("bcftools", "view", "-H", truth).decode().splitlines()
            own = {}
            for caller in ("kiban", "freebayes"):
                callers.CALLERS[caller](kiban, sample, truth, folder / f"{caller}.vcf.gz")
                own[caller] = callers.calls(folder / f"{caller}.vcf.gz", sample.reference)
            for line, variant in zip(lines, found):
                fields = line.split("\t")
                key = int(fields[1]), fields[3], fields[4]
                right[variant.stratum, ploidy, depth].append(
                    tuple(key in own[caller] and own[caller][key].dosage == variant.dosage for caller in ("kiban", "freebayes")))
    return right


def simulated_genomes(kiban, folder, length):
    """Not met where freebayes is ahead by more than chance: of the candidates that one alone has right each may fall to either,
    so two standard deviations are twice the root of their number."""
    right = simulations(kiban, folder, length)
    rows, met = {}, True
    for ploidy in (1, 2, 3):
        for stratum in sorted({stratum for stratum, _, _ in right}):
            depths = {depth: right[stratum, ploidy, depth] for depth in (5, 15, 30, 100)}
            pairs = [pair for of_depth in depths.values() for pair in of_depth]
            ours, theirs = (sum(pair[i] for pair in pairs) for i in (0, 1))
            alone = [sum(pair == only for pair in pairs) for only in ((True, False), (False, True))]
            verdict = "" if ours >= theirs else "  below, by chance" if theirs - ours <= 2 * sum(alone) ** 0.5 else "  BELOW"
            met &= verdict != "  BELOW"
            rows[f"{stratum}, ploidy {ploidy}"] = {
                "of": len(pairs), "kiban": ours, "freebayes": theirs, "kiban_alone": alone[0], "freebayes_alone": alone[1],
                "by_depth": {depth: [len(each), *(sum(pair[i] for pair in each) for i in (0, 1))] for depth, each in depths.items()}}
            print(f"simulated, ploidy {ploidy}, {stratum}: Kiban {ours}, freebayes {theirs} of {len(pairs)} right "
                  f"({alone[0]} by Kiban alone, {alone[1]} by freebayes alone); by depth, in %, "
                  + ", ".join(f"{depth}x " + "/".join(f"{100 * sum(pair[i] for pair in each) / len(each):.0f}" for i in (0, 1))
                              for depth, each in depths.items()) + verdict)
    return {"rows": rows, "met": met}


def memory_of_tiles(kiban, folder):
    sample, rows = na12878(), {}
    truth = truth_of(sample)
    for copies in (1, 10, 100):
        tiles, candidates = tiled.tiled(folder, sample, truth, copies)
        ran = json.loads(callers.run(kiban, "run", "variant.genotype", "--reads", tiles.reads, "--reference", tiles.reference,
                                     "--candidates", candidates, "--scored", folder / "tiled.out.vcf.gz", "--threads", 1, "--json"))
        rows[copies] = {"peak_mib": ran["peak_memory_bytes"] / 2**20, "seconds": ran["seconds"], "records": ran["updates"]}
        print(f"memory: {copies} x 100 kb, {ran['updates']} records: peak {rows[copies]['peak_mib']:.0f} MiB, {ran['seconds']:.2f} s")
    return {"rows": rows, "met": rows[100]["peak_mib"] <= 1.2 * rows[1]["peak_mib"]}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kiban", type=Path, required=True, help="the kiban command")
    parser.add_argument("--results", type=Path, help="a folder for the report")
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--length", type=int, default=150_000, help="bases of a simulated genome")
    parser.add_argument("--only", choices=PARTS)
    options = parser.parse_args()
    report = {"date": date.today().isoformat(), "processor": processor(), "load": os.getloadavg(),
              "versions": {name: version(name) for name in ("freebayes", "bcftools", "minimap2")}}
    wanted = [options.only] if options.only else PARTS
    with tempfile.TemporaryDirectory() as name:
        folder, kiban = Path(name), options.kiban.resolve()
        if DATA.exists() and "slice" in wanted:
            report["slice"] = slice_of_na12878(kiban, folder, options.repetitions)
        if DATA.exists() and "decoys" in wanted:
            report["decoys"] = decoys_of_na12878(kiban, folder)
        if DATA.exists() and "memory" in wanted:
            report["memory"] = memory_of_tiles(kiban, folder)
        if "simulated" in wanted:
            report["simulated"] = simulated_genomes(kiban, folder, options.length)
    print(", ".join(f"{name} {found}" for name, found in report["versions"].items()) + f", {report['processor']}")
    if options.results and not options.only:
        path = options.results / f"peers-genotype-{report['date']}.json"
        path.write_text(json.dumps(report, indent=2) + "\n")
        print(f"written to {path}")
    missed = [part for part in wanted if part in report and not report[part]["met"]]
    if missed:
        raise SystemExit(f"a bar is missed: {', '.join(missed)}")


if __name__ == "__main__":
    main()
