"""Candidates that a sample does not have, of the kinds that mislead genotypers; and none that is a truth in other words."""

import random
import re
from collections import namedtuple

Decoy = namedtuple("Decoy", "stratum position ref alt")  # position from 1, alleles as in VCF


class Region:
    """A stretch of the reference, the parts of it where the truth is known, and the truth."""

    def __init__(self, begin, bases, confident, truth):
        self.begin, self.bases, self.confident, self.truth = begin, bases, confident, truth
        self.known = {self.haplotype(*allele) for allele in truth}

    def at(self, position, length=1):
        return self.bases[position - self.begin:position - self.begin + length]

    def haplotype(self, position, ref, alt):
        """The reference with this allele, about it: equal for two ways to say one thing. (An anchor far to the left.)"""
        at = position - self.begin
        return self.bases[:at] + alt + self.bases[at + len(ref):]

    def holds(self, position, length):
        return any(begin < position and position + length <= end for begin, end in self.confident)

    def positions(self):
        return [position for begin, end in self.confident for position in range(begin + 2, end)]


def decoys(region, seed):
    """1,500 single bases, 350 random insertions and deletions, 350 homopolymers of 3 and more longer or shorter by one, all
    short tandem repeats longer or shorter by a unit, and other alleles where the truth has one."""
    generator = random.Random(seed)
    known, chosen = set(region.known) | {region.bases}, []

    def add(stratum, candidates, most):
        before = len(chosen)
        for position, ref, alt in candidates:
            if len(chosen) - before == most:
                return
            haplotype = region.haplotype(position, ref, alt)
            if haplotype in known or not region.holds(position, len(ref)):
                continue
            known.add(haplotype)
            chosen.append(Decoy(stratum, position, ref, alt))

    positions = region.positions()
    add("SNV", _single_bases(region, generator, positions), 1500)
    add("indel", _random_indels(region, generator, positions), 350)
    add("homopolymer", _shuffled(generator, _repeats(region, r"([ACGT])\1{2,}")), 350)
    add("STR", [each for unit in range(2, 7) for each in _repeats(region, rf"([ACGT]{{{unit}}})\1{{2,}}")
                if len(set(each[1][1:] + each[2][1:])) > 1], None)
    add("same site", _other_alleles(region), None)
    return sorted(chosen, key=lambda decoy: (decoy.position, decoy.ref, decoy.alt))


def _single_bases(region, generator, positions):
    while True:
        position = generator.choice(positions)
        ref = region.at(position)
        yield position, ref, generator.choice([base for base in "ACGT" if base != ref])


def _random_indels(region, generator, positions):
    while True:
        position, length = generator.choice(positions), generator.randint(1, 20)
        anchor = region.at(position)
        if generator.random() < 0.5:
            yield position, anchor, anchor + "".join(generator.choices("ACGT", k=length))
        else:
            yield position, region.at(position, length + 1), anchor


def _shuffled(generator, candidates):
    candidates = list(candidates)
    generator.shuffle(candidates)
    return candidates


def _repeats(region, pattern):
    """A unit more and a unit less, the base before as the anchor."""
    for found in re.finditer(f"(?={pattern})", region.bases):
        position = region.begin + found.start() - 1
        anchor, text = region.at(position), found.group(1)
        if found.start() == 0 or region.bases[found.start() - 1] == text[-1]:
            continue  # the repeat began before
        yield position, anchor, anchor + text
        yield position, anchor + text, anchor


def _other_alleles(region):
    for position, ref, alt in region.truth:
        if len(ref) == len(alt) == 1:
            yield from ((position, ref, base) for base in "ACGT" if base not in (ref, alt))
            continue
        longer = alt + "ACGT"[("ACGT".index(alt[-1]) + 1) % 4]
        yield position, ref, longer
        if len(ref) > len(alt):
            yield position, ref + region.at(position + len(ref)), alt
            if len(ref) > 2:
                yield position, ref[:-1], alt
        elif len(alt) > 2:
            yield position, ref, alt[:-1]
