#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "engine/operation.hpp"
#include "io/hdf5/exchange_file.hpp"

namespace kiban::engine {

/// What a port of kind scan takes in memory: counts of a raw parallel-beam scan, in host memory, none changed.
struct MemoryScan {
  Span<const float, 3> counts;        ///< [view,row,column]
  Span<const float, 3> flats, darks;  ///< [frame,row,column]; darks may have no frames
  std::vector<double> angles_deg;     ///< [view], or empty
};

/// A raw parallel-beam scan: a Data Exchange file, or memory.
class ScanSource {
 public:
  /// Errors: input (the file, see io::ExchangeReader; shapes that do not match).
  ScanSource(const Request& request, const std::string& port);

  /// As sentences name it.
  const std::string& name() const { return name_; }
  /// [view,row,column].
  const Shape<3>& shape() const { return memory_ ? memory_->counts.shape() : file_->shape(); }
  bool in_memory() const { return memory_.has_value(); }
  bool has_angles() const { return memory_ ? !memory_->angles_deg.empty() : file_->has_angles(); }
  const std::vector<double>& angles_deg() const { return memory_ ? memory_->angles_deg : file_->angles_deg(); }

  /// Calls `use(flats, darks)`, [frame,row,column] in host memory, checked to be finite. Errors: input.
  template <class Use>
  auto with_frames(const Use& use) const {
    if (memory_) return use(checked(memory_->flats, "flat"), checked(memory_->darks, "dark"));
    const Array<float, 3> flats = file_->flats();
    const Array<float, 3> darks =
        file_->dark_count() ? file_->darks() : Array<float, 3>({0, file_->shape()[1], file_->shape()[2]});
    return use(checked(flats.span(), "flat"), checked(darks.span(), "dark"));
  }
  /// Views [begin, end) into host memory. Errors: input (unreadable; a value that is not finite).
  void read(std::int64_t begin, std::int64_t end, Span<float, 3> views) const;

 private:
  Span<const float, 3> checked(Span<const float, 3> frames, const char* what) const;

  std::string name_;
  std::optional<MemoryScan> memory_;
  std::optional<io::ExchangeReader> file_;
};

}  // namespace kiban::engine
