#include "kernels/variant/edits.hpp"

#include <gtest/gtest.h>

#include <random>
#include <string>

namespace kiban::variant {
namespace {

std::string applied(const std::string& reference, std::int64_t begin, std::int64_t end, const std::string& alternate) {
  return reference.substr(0, static_cast<std::size_t>(begin)) + alternate +
         reference.substr(static_cast<std::size_t>(end));
}

TEST(Edits, SharedBasesAreTrimmedAndGapsShiftedLeft) {
  //                            0123456789
  const std::string reference = "TTCACACAGG";
  const ReferenceStretch stretch{100, reference};
  struct Case {
    std::int64_t position;
    std::string ref, alt;
    Edit edit;
  };
  for (const Case& each : {Case{102, "C", "T", {102, 103, "T", 103}},       // a base
                           Case{101, "TC", "TG", {102, 103, "G", 103}},     // with a base before it
                           Case{103, "ACG", "ATT", {104, 106, "TT", 106}},  // several
                           Case{107, "AG", "ACAG", {102, 102, "CA", 108}},  // CA comes into the repeat
                           Case{105, "ACA", "A", {102, 104, "", 108}},      // CA goes out of it
                           Case{108, "GG", "G", {108, 109, "", 110}},       // at the end
                           Case{100, "T", "TT", {100, 100, "T", 102}},      // at the beginning
                           Case{104, "C", "C", {104, 104, "", 104}}}) {     // nothing
    const Edit found = normalised_edit(stretch, each.position, each.ref, each.alt);
    EXPECT_EQ(found, each.edit) << each.ref << ">" << each.alt << " is at " << found.begin << "-" << found.end << " "
                                << found.alternate;
    EXPECT_EQ(found.shiftable_end, each.edit.shiftable_end) << each.ref << ">" << each.alt;
  }
}

/// Of all that make the same sequence of the same length, the leftmost, found by trying every place.
TEST(Edits, IsTheLeftmostOfAllThatMakeTheSameSequence) {
  std::mt19937 random(7);
  for (int round = 0; round < 3000; ++round) {
    std::string reference;
    for (int i = 0; i < 24; ++i) reference += "AC"[random() % 2];
    const auto begin = static_cast<std::int64_t>(4 + random() % 14);
    const auto length = static_cast<std::int64_t>(1 + random() % 4);
    const bool deletes = random() % 2 == 0;
    std::string inserted;
    for (std::int64_t i = 0; i < length; ++i) inserted += "AC"[random() % 2];
    const std::string anchor = reference.substr(static_cast<std::size_t>(begin), 1);
    const std::string gone = reference.substr(static_cast<std::size_t>(begin), static_cast<std::size_t>(length + 1));
    const Edit found = deletes ? normalised_edit({0, reference}, begin, gone, anchor)
                               : normalised_edit({0, reference}, begin, anchor, anchor + inserted);
    const std::string made = applied(reference, found.begin, found.end, found.alternate);
    ASSERT_EQ(made, deletes ? applied(reference, begin + 1, begin + 1 + length, "")
                            : applied(reference, begin + 1, begin + 1, inserted));
    const std::int64_t taken = deletes ? length : 0;
    ASSERT_EQ(found.end - found.begin, taken);
    std::int64_t first = -1, last = -1;
    for (std::int64_t at = 0; at + taken <= 24; ++at) {
      const std::string put =
          deletes ? "" : made.substr(static_cast<std::size_t>(at), static_cast<std::size_t>(length));
      if (applied(reference, at, at + taken, put) != made) continue;
      if (first < 0) first = at;
      last = at;
    }
    ASSERT_EQ(found.begin, first) << reference << " " << made;
    ASSERT_EQ(found.shiftable_end, last + taken) << reference << " " << made;
  }
}

}  // namespace
}  // namespace kiban::variant
