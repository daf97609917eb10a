#include "engine/operations/patient_position.hpp"

#include "kernels/core/error.hpp"

namespace kiban::engine {
namespace {

/// The scanner's direction that the patient's left side points to. Supine and prone differ by it alone; in a decubitus
/// position the named side is down.
Vec3 left_in_scanner(const std::string& lying, bool head_first) {
  const double x = head_first ? 1 : -1;
  if (lying == "S") return {x, 0, 0};
  if (lying == "P") return {-x, 0, 0};
  if (lying == "DR") return {0, 0, 1};
  if (lying == "DL") return {0, 0, -1};
  throw Error(ErrorCode::internal, "no patient lies like '" + lying + "'");
}

}  // namespace

Parameter patient_position_parameter(std::string help) {
  return Parameter::choice("patient-position", {"none", "HFS", "HFP", "HFDR", "HFDL", "FFS", "FFP", "FFDR", "FFDL"},
                           std::move(help))
      .by_default("none");
}

Mat3 patient_from_scanner(const std::string& position) {
  if (position == "none") return identity3();
  const bool head_first = position.starts_with("HF");
  const Vec3 head{0, head_first ? 1.0 : -1.0, 0};
  const Vec3 left = left_in_scanner(position.substr(2), head_first);
  const Vec3 back = cross(head, left);  // left x back = head
  return {left, back, head};
}

Mat3 transposed(const Mat3& matrix) { return {column(matrix, 0), column(matrix, 1), column(matrix, 2)}; }

Grid rotated(const Mat3& rotation, const Grid& grid) {
  Grid moved = grid;
  moved.origin = rotation * grid.origin;
  // Column by column: the rows of the product's transpose.
  moved.direction = transposed({rotation * column(grid.direction, 0), rotation * column(grid.direction, 1),
                                rotation * column(grid.direction, 2)});
  return moved;
}

}  // namespace kiban::engine
