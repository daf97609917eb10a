#include "engine/operations/reconstruction_key.hpp"

#include <fmt/format.h>

#include <bit>
#include <cstdint>

#include "engine/sha256.hpp"

namespace kiban::engine {
namespace {

/// Numbers as bytes, field by field: what lies between the fields of a struct is nobody's business.
class Numbers {
 public:
  void add(std::int64_t value) { bytes_.append(reinterpret_cast<const char*>(&value), sizeof value); }
  void add(double value) { add(std::bit_cast<std::int64_t>(value)); }
  void add(const Vec3& vector) {
    for (const double value : vector) add(value);
  }

  const std::string& bytes() const { return bytes_; }

 private:
  std::string bytes_;
};

}  // namespace

std::string reconstruction_key(const ct::Geometry& geometry, const Grid& grid,
                               const ct::FilteredBackprojectionOptions& options) {
  Numbers numbers;
  numbers.add(geometry.rows);
  numbers.add(geometry.columns);
  numbers.add(geometry.axis);
  for (const ct::View& view : geometry.views) {
    numbers.add(static_cast<std::int64_t>(view.parallel));
    for (const Vec3& vector : {view.source, view.detector, view.u, view.v}) numbers.add(vector);
  }
  for (const std::int64_t extent : grid.shape) numbers.add(extent);
  for (const Vec3& vector : {grid.spacing, grid.origin}) numbers.add(vector);
  for (const Vec3& vector : grid.direction) numbers.add(vector);
  numbers.add(static_cast<std::int64_t>(options.window));
  numbers.add(options.cutoff);
  numbers.add(static_cast<std::int64_t>(options.mask_field_of_view));
  numbers.add(options.mu_water_per_mm);
  numbers.add(static_cast<std::int64_t>(options.interpolation));
  return fmt::format("{}x{}x{} from {}x{}x{}, {}", grid.nx(), grid.ny(), grid.nz(), geometry.columns, geometry.rows,
                     geometry.views.size(), sha256(numbers.bytes()));
}

}  // namespace kiban::engine
