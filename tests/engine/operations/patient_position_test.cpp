#include "engine/operations/patient_position.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>

namespace kiban::engine {
namespace {

/// Where the patient's left, back and head point to in the scanner's frame. Left and head are read off a drawing; the
/// back is what they leave for a right-handed frame, written out here all the same.
struct Case {
  std::string position;
  Vec3 left, back, head;
};

const Case kCases[] = {
    {"HFS", {1, 0, 0}, {0, 0, -1}, {0, 1, 0}},   {"HFP", {-1, 0, 0}, {0, 0, 1}, {0, 1, 0}},
    {"HFDR", {0, 0, 1}, {1, 0, 0}, {0, 1, 0}},   {"HFDL", {0, 0, -1}, {-1, 0, 0}, {0, 1, 0}},
    {"FFS", {-1, 0, 0}, {0, 0, -1}, {0, -1, 0}}, {"FFP", {1, 0, 0}, {0, 0, 1}, {0, -1, 0}},
    {"FFDR", {0, 0, 1}, {-1, 0, 0}, {0, -1, 0}}, {"FFDL", {0, 0, -1}, {1, 0, 0}, {0, -1, 0}},
    {"none", {1, 0, 0}, {0, 1, 0}, {0, 0, 1}},
};

TEST(PatientPosition, IsAProperRotation) {
  for (const Case& c : kCases) {
    const Mat3 turn = patient_from_scanner(c.position);
    EXPECT_EQ(turn * c.left, (Vec3{1, 0, 0})) << c.position;
    EXPECT_EQ(turn * c.back, (Vec3{0, 1, 0})) << c.position;
    EXPECT_EQ(turn * c.head, (Vec3{0, 0, 1})) << c.position;
    EXPECT_EQ(dot(turn[0], cross(turn[1], turn[2])), 1) << c.position << ": the determinant";
  }
}

TEST(PatientPosition, TableHoldsEveryChoice) {
  for (const std::string& choice : patient_position_parameter("").choices)
    EXPECT_TRUE(std::ranges::count(kCases, choice, &Case::position)) << choice;
}

TEST(PatientPosition, RotatedGridMovesEveryVoxelAlike) {
  Grid grid{{3, 4, 5}, {1, 2, 3}, {-10, 20, 30}, {Vec3{0.6, -0.8, 0}, Vec3{0.8, 0.6, 0}, Vec3{0, 0, 1}}};
  for (const Case& c : kCases) {
    const Mat3 turn = patient_from_scanner(c.position);
    const Grid moved = rotated(turn, grid);
    EXPECT_EQ(moved.shape, grid.shape);
    for (const Vec3& index : {Vec3{0, 0, 0}, Vec3{4, 1, 2}, Vec3{-1, 0.5, 7}})
      EXPECT_LT(norm(moved.world(index) - turn * grid.world(index)), 1e-12) << c.position;
    EXPECT_LT(norm(rotated(transposed(turn), moved).origin - grid.origin), 1e-12) << c.position;
  }
}

}  // namespace
}  // namespace kiban::engine
