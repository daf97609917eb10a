#include <fmt/format.h>

#include <array>
#include <cmath>
#include <numbers>
#include <optional>
#include <string>

#include "io/hdf5/exchange_file.hpp"
#include "io/hdf5/hdf5_dataset.hpp"
#include "io/input_file.hpp"
#include "io/memory.hpp"
#include "kernels/core/error.hpp"

namespace kiban::io {
namespace {

using Dataset = Hdf5Dataset;

[[noreturn]] void refuse(const std::filesystem::path& path, const std::string& sentence) {
  throw input_error(path, sentence);
}

double degrees_in(const std::filesystem::path& path, const std::string& unit) {
  if (unit.empty() || unit == "deg" || unit == "degree" || unit == "degrees" || unit == "\xc2\xb0") return 1;
  if (unit == "rad" || unit == "radian" || unit == "radians") return 180 / std::numbers::pi;
  refuse(path, fmt::format("/exchange/theta has the unit \"{:.20}\"; write deg or rad into its attribute units", unit));
}

}  // namespace

struct ExchangeReader::State {
  explicit State(const std::filesystem::path& name) : path(name) {
    input_file_size(path);
    if (H5Fis_hdf5(path.c_str()) <= 0) refuse(path, "is not an HDF5 file; check what it is");
    file = Hdf5Handle(H5Fopen(path.c_str(), H5F_ACC_RDONLY, H5P_DEFAULT), &H5Fclose);
    if (!file) refuse(path, "is HDF5 and cannot be opened; it is truncated or broken, copy it again");
    projections = find("data");
    if (!projections) refuse(path, "has no dataset /exchange/data; it is not a Data Exchange scan, check what it is");
    if (projections->shape().size() != 3)
      refuse(path, fmt::format("/exchange/data has {} dimensions, not [view,row,column]; reshape it",
                               projections->shape().size()));
    for (std::size_t axis = 0; axis < 3; ++axis) shape[axis] = projections->shape()[axis];
    flats = find("data_white");
    darks = find("data_dark");
    theta = find("theta");
    require_frames(flats, "data_white");
    require_frames(darks, "data_dark");
    if (theta) read_angles();
  }

  // One frame may be written without its axis.
  static std::int64_t frames(const std::optional<Dataset>& dataset) {
    if (!dataset) return 0;
    return dataset->shape().size() == 2 ? 1 : dataset->shape()[0];
  }

  Array<float, 3> read_frames(const std::optional<Dataset>& dataset, const char* name) const {
    if (!dataset) refuse(path, fmt::format("has no dataset /exchange/{}; add the frames [frame,row,column]", name));
    const Shape<3> frame_shape{frames(dataset), shape[1], shape[2]};
    require_memory(element_count<3>(frame_shape) * static_cast<std::int64_t>(sizeof(float)),
                   fmt::format("{}: the frames of /exchange/{}", path.string(), name));
    Array<float, 3> array(frame_shape);
    dataset->read(0, dataset->shape()[0], H5T_NATIVE_FLOAT, array.host().data);
    return array;
  }

  std::filesystem::path path;
  Hdf5Handle file;
  std::optional<Dataset> projections, flats, darks, theta;
  Shape<3> shape{};
  std::vector<double> angles_deg;

 private:
  std::optional<Dataset> find(const std::string& name) const {
    if (H5Lexists(file.id(), "/exchange", H5P_DEFAULT) <= 0) return std::nullopt;
    const std::string full_name = "/exchange/" + name;
    if (H5Lexists(file.id(), full_name.c_str(), H5P_DEFAULT) <= 0) return std::nullopt;
    return std::optional<Dataset>(std::in_place, path, file.id(), full_name);
  }

  void require_frames(const std::optional<Dataset>& dataset, const char* name) const {
    if (!dataset) return;
    const std::vector<std::int64_t>& frame = dataset->shape();
    const std::size_t rank = frame.size();
    if (rank < 2 || rank > 3 || frame[rank - 2] != shape[1] || frame[rank - 1] != shape[2])
      refuse(path,
             fmt::format("/exchange/{} has the shape [{}] where frames of {} rows and {} columns belong; crop it as "
                         "/exchange/data",
                         name, fmt::join(frame, ","), shape[1], shape[2]));
  }

  void read_angles() {
    if (theta->shape().empty() || theta->size() != shape[0] || theta->shape()[0] != shape[0])
      refuse(path,
             fmt::format("/exchange/theta has the shape [{}] and /exchange/data has {} views; give one angle a view",
                         fmt::join(theta->shape(), ","), shape[0]));
    const double factor = degrees_in(path, theta->attribute("units"));
    require_memory(shape[0] * static_cast<std::int64_t>(sizeof(double)),
                   fmt::format("{}: the angles of its {} views", path.string(), shape[0]));
    angles_deg.resize(static_cast<std::size_t>(shape[0]));
    theta->read(0, shape[0], H5T_NATIVE_DOUBLE, angles_deg.data());
    for (std::size_t view = 0; view < angles_deg.size(); ++view) {
      if (!std::isfinite(angles_deg[view]))
        refuse(path, fmt::format("/exchange/theta is not finite at view {} (counting from 0); correct it", view));
      angles_deg[view] *= factor;
    }
  }
};

ExchangeReader::ExchangeReader(const std::filesystem::path& path) {
  const Hdf5Calls calls;
  state_ = std::make_unique<State>(path);
}
ExchangeReader::~ExchangeReader() {
  const Hdf5Calls calls;
  state_.reset();
}
ExchangeReader::ExchangeReader(ExchangeReader&&) noexcept = default;
ExchangeReader& ExchangeReader::operator=(ExchangeReader&& other) noexcept {
  state_.swap(other.state_);
  return *this;
}

const std::filesystem::path& ExchangeReader::path() const { return state_->path; }
const Shape<3>& ExchangeReader::shape() const { return state_->shape; }
std::int64_t ExchangeReader::flat_count() const { return State::frames(state_->flats); }
std::int64_t ExchangeReader::dark_count() const { return State::frames(state_->darks); }
bool ExchangeReader::has_angles() const { return state_->theta.has_value(); }

const std::vector<double>& ExchangeReader::angles_deg() const {
  if (!has_angles())
    refuse(state_->path,
           fmt::format("has no dataset /exchange/theta; add one with an angle in degrees for each of the {} views",
                       state_->shape[0]));
  return state_->angles_deg;
}

Array<float, 3> ExchangeReader::flats() const {
  const Hdf5Calls calls;
  return state_->read_frames(state_->flats, "data_white");
}
Array<float, 3> ExchangeReader::darks() const {
  const Hdf5Calls calls;
  return state_->read_frames(state_->darks, "data_dark");
}

void ExchangeReader::read(std::int64_t begin, std::int64_t end, Span<float, 3> views) const {
  const Shape<3>& shape = state_->shape;
  if (begin < 0 || end < begin || end > shape[0] || views.shape() != Shape<3>{end - begin, shape[1], shape[2]})
    throw Error(ErrorCode::internal, fmt::format("{}: views {} to {} were asked for into an array of another shape",
                                                 state_->path.string(), begin, end));
  if (begin == end) return;
  const Hdf5Calls calls;
  state_->projections->read(begin, end, H5T_NATIVE_FLOAT, views.host().data);
}

}  // namespace kiban::io
