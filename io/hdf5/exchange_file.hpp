#pragma once
#include <cstdint>
#include <filesystem>
#include <memory>
#include <vector>

#include "kernels/core/array.hpp"

namespace kiban::io {

/// A raw parallel-beam scan in Data Exchange HDF5: `/exchange/data` [view,row,column], `data_white` and `data_dark`
/// [frame,row,column], `theta` [view] in degrees (or as its `units` attribute says). Any integer or floating-point
/// type. Source: De Carlo et al., "Scientific data exchange", J. Synchrotron Rad. 21 (2014). Not thread-safe.
class ExchangeReader {
 public:
  /// Errors: input (missing, truncated, not HDF5; no `/exchange/data`; wrong rank; shapes that do not match; more
  /// elements than the file can hold).
  explicit ExchangeReader(const std::filesystem::path& path);
  ~ExchangeReader();
  ExchangeReader(ExchangeReader&&) noexcept;
  ExchangeReader& operator=(ExchangeReader&&) noexcept;

  const std::filesystem::path& path() const;
  /// [view,row,column] of the projections.
  const Shape<3>& shape() const;
  /// Frames of `data_white`, `data_dark`; 0 where the dataset is absent.
  std::int64_t flat_count() const;
  std::int64_t dark_count() const;
  bool has_angles() const;

  /// Degrees, one a view. Errors: input (no `theta`, not one finite number a view, unknown unit).
  const std::vector<double>& angles_deg() const;
  /// [frame,row,column]. Errors: input (absent, unreadable).
  Array<float, 3> flats() const;
  Array<float, 3> darks() const;

  /// Views [begin, end) as float; touches only these.
  ///   views [end-begin, row, column]   host memory
  /// Errors: internal (range or shape) · input (unreadable).
  void read(std::int64_t begin, std::int64_t end, Span<float, 3> views) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// Writes a scan that ExchangeReader reads.
///   projections [view,row,column], flats, darks [frame,row,column]   host memory; no frames: the dataset is left out
///   angles_deg [view]                                                 empty: `theta` is left out
/// Errors: internal (shapes that do not match) · input (cannot be written).
void write_exchange(const std::filesystem::path& path, Span<const float, 3> projections, Span<const float, 3> flats,
                    Span<const float, 3> darks, const std::vector<double>& angles_deg);

}  // namespace kiban::io
