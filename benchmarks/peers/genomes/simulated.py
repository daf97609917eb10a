"""A genome, a sample of it and its reads, all from a seed: what a genotyper should find is then known.

Reads are pairs of 150 bases, fragments of 400 +- 60, base qualities 12 to 40 that fall towards the end, wrong as often as
they say. A run of n >= 4 equal bases is read a base too short or too long with probability 1e-4 x 1.45^(n - 4), at most 0.08
(0.1 % for 10, 4 % for 20). minimap2 aligns them, as for any others.
"""

import random
from collections import namedtuple

from . import callers

Variant = namedtuple("Variant", "stratum position ref alt dosage")  # position from 1, alleles as in VCF
READ, FRAGMENT, DEVIATION = 150, 400, 60
COMPLEMENT = str.maketrans("ACGT", "TGCA")


def genome(generator, length):
    """Random bases with a homopolymer of 4 to 20 or a tandem repeat of 2 to 6 bases every 250; returns their places, too."""
    bases, repeats = [], []
    while len(bases) < length:
        bases += generator.choices("ACGT", k=250)
        unit = generator.choice("ACGT") if generator.random() < 0.5 else "".join(generator.sample("ACGT", 2)) + "".join(
            generator.choices("ACGT", k=generator.randint(0, 4)))
        copies = generator.randint(4, 20) if len(unit) == 1 else generator.randint(3, 10)
        repeats.append((len(bases), unit, copies))
        bases += unit * copies
    return "".join(bases), repeats


def variants(generator, bases, repeats, ploidy):
    """One every 120 bases or so: single bases, insertions and deletions of 1 to 50, repeats longer or shorter by 1 to 3
    units. Three in ten are in no chromosome."""
    made, free = [], 300
    for begin, unit, copies in repeats:
        while free + 120 < begin:
            made.append(_elsewhere(generator, bases, free, ploidy))
            free += 120 + generator.randint(0, 40)
        if begin < 300 or begin + len(unit) * copies + 300 > len(bases):
            continue
        anchor, text = bases[begin - 1], unit * generator.randint(1, min(3, copies - 2))
        longer = generator.random() < 0.5
        made.append(Variant("homopolymer" if len(unit) == 1 else "STR", begin, anchor if longer else anchor + text,
                            anchor + text if longer else anchor, _dosage(generator, ploidy)))
        free = begin + len(unit) * copies + 70
    return made


def _elsewhere(generator, bases, at, ploidy):
    ref = bases[at - 1]
    if generator.random() < 0.5:
        return Variant("SNV", at, ref, generator.choice([base for base in "ACGT" if base != ref]), _dosage(generator, ploidy))
    length = generator.randint(1, 10) if generator.random() < 0.5 else generator.randint(11, 50)
    stratum = "indel to 10" if length <= 10 else "indel to 50"
    if generator.random() < 0.5:
        return Variant(stratum, at, ref, ref + "".join(generator.choices("ACGT", k=length)), _dosage(generator, ploidy))
    return Variant(stratum, at, bases[at - 1:at + length], ref, _dosage(generator, ploidy))


def _dosage(generator, ploidy):
    return 0 if generator.random() < 0.3 else generator.randint(1, ploidy)


def chromosomes(generator, bases, found, ploidy):
    """One string a chromosome; which have a variant is drawn."""
    carried = [generator.sample(range(ploidy), variant.dosage) for variant in found]
    made = []
    for chromosome in range(ploidy):
        parts, at = [], 0
        for variant, carriers in zip(found, carried):
            if chromosome in carriers:
                parts += [bases[at:variant.position - 1], variant.alt]
                at = variant.position - 1 + len(variant.ref)
        made.append("".join([*parts, bases[at:]]))
    return made


def reads(generator, strands, depth):
    """FASTQ of both ends of fragments, so many that a place of the genome lies under `depth` reads."""
    first, second = [], []
    for number in range(int(depth * len(strands[0]) / (2 * READ))):
        strand = generator.choice(strands)
        length = max(READ, round(generator.gauss(FRAGMENT, DEVIATION)))
        at = generator.randrange(len(strand) - length)
        fragment = strand[at:at + length]
        ends = [fragment, fragment.translate(COMPLEMENT)[::-1]]
        if generator.random() < 0.5:
            ends.reverse()
        for end, file in zip(ends, (first, second)):
            file.append(f"@fragment{number}\n" + _read(generator, end))
    return "".join(first), "".join(second)


def _read(generator, fragment):
    bases = _slipped(generator, fragment)[:READ]
    quality = [max(12, min(40, round(generator.gauss(37 - 12 * (at / READ) ** 2, 4)))) for at in range(len(bases))]
    letters = [base if generator.random() > 10 ** (-q / 10) else generator.choice([other for other in "ACGT" if other != base])
               for base, q in zip(bases, quality)]
    return f"{''.join(letters)}\n+\n{''.join(chr(33 + q) for q in quality)}\n"


def _slipped(generator, fragment):
    """The fragment with errors of polymerase and sequencer in runs of equal bases."""
    made, at, end = [], 0, min(len(fragment), READ + 20)
    while at < end:
        run = at
        while run < end and fragment[run] == fragment[at]:
            run += 1
        length = run - at
        if length >= 4 and generator.random() < min(0.08, 1e-4 * 1.45 ** (length - 4)):
            length += generator.choice((-1, 1))
        made.append(fragment[at] * length)
        at = run
    return "".join(made)


def sample(folder, seed, ploidy, depth, length):
    """Files of a sample: (callers.Sample, candidates, variants)."""
    generator = random.Random(seed)
    bases, repeats = genome(generator, length)
    found = variants(generator, bases, repeats, ploidy)
    strands = chromosomes(generator, bases, found, ploidy)
    reference = folder / "genome.fa"
    reference.write_text(f">sim\n{bases}\n")
    callers.run("samtools", "faidx", reference)
    names = [folder / "1.fq", folder / "2.fq"]
    for name, text in zip(names, reads(generator, strands, depth)):
        name.write_text(text)
    aligned = callers.run("minimap2", "-a", "-x", "sr", "-t", 1, "-R", "@RG\\tID:sim\\tSM:sim", reference, *names)
    alignments = folder / "reads.bam"
    callers.run("samtools", "sort", "-o", alignments, "-", input=aligned)
    callers.run("samtools", "index", alignments)
    candidates = folder / "candidates.vcf.gz"
    lines = "".join(f"sim\t{each.position}\t.\t{each.ref}\t{each.alt}\t.\t.\t.\n" for each in found)
    callers.write(candidates, (callers.header("sim", len(bases)) + lines).encode())
    return callers.Sample(alignments, reference, "sim", ploidy), candidates, found
