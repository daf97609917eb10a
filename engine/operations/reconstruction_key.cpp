#include "engine/operations/reconstruction_key.hpp"

#include <fmt/format.h>
#include <openssl/evp.h>

#include <array>
#include <bit>
#include <cstdint>

#include "kernels/core/error.hpp"

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

  std::string sha256() const {
    std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
    unsigned length = 0;
    if (EVP_Digest(bytes_.data(), bytes_.size(), digest.data(), &length, EVP_sha256(), nullptr) != 1)
      throw Error(ErrorCode::internal, "the digest of a geometry failed");
    std::string text;
    for (unsigned i = 0; i < length; ++i) text += fmt::format("{:02x}", digest[i]);
    return text;
  }

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
                     geometry.views.size(), numbers.sha256());
}

}  // namespace kiban::engine
