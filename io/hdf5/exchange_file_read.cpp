#include <fmt/format.h>

#include <array>
#include <cmath>
#include <numbers>
#include <optional>
#include <string>

#include "io/hdf5/exchange_file.hpp"
#include "io/hdf5/hdf5_handle.hpp"
#include "io/input_file.hpp"
#include "io/memory.hpp"
#include "kernels/core/error.hpp"

namespace kiban::io {
namespace {

constexpr int most_dimensions = 32;  // HDF5's own limit
// Deflate turns at most 1032 bytes into one; filters in front of it may help a little.
constexpr std::int64_t largest_compression_ratio = 2800;
// Scans chunked by sinogram are read view by view: the chunks of a block of views should stay in the cache.
constexpr std::size_t chunk_cache_bytes = 64 << 20;

[[noreturn]] void refuse(const std::filesystem::path& path, const std::string& sentence) {
  throw input_error(path, sentence);
}

// A dataset of numbers whose declared size was weighed against what is stored.
class Dataset {
 public:
  Dataset(const std::filesystem::path& path, hid_t file, const std::string& name) : path_(path), name_(name) {
    const Hdf5Handle access(H5Pcreate(H5P_DATASET_ACCESS), &H5Pclose);
    H5Pset_chunk_cache(access.id(), H5D_CHUNK_CACHE_NSLOTS_DEFAULT, chunk_cache_bytes, H5D_CHUNK_CACHE_W0_DEFAULT);
    dataset_ = Hdf5Handle(H5Dopen2(file, name.c_str(), access.id()), &H5Dclose);
    if (!dataset_)
      refuse(path_, fmt::format("{} cannot be opened; it is truncated or no dataset, write it again", name_));
    const Hdf5Handle space(H5Dget_space(dataset_.id()), &H5Sclose), type(H5Dget_type(dataset_.id()), &H5Tclose);
    const H5T_class_t kind = type ? H5Tget_class(type.id()) : H5T_NO_CLASS;
    if (kind != H5T_INTEGER && kind != H5T_FLOAT)
      refuse(path_, fmt::format("{} does not hold integers or floating-point numbers; convert it", name_));
    std::array<hsize_t, most_dimensions> extents{};
    const int rank = space ? H5Sget_simple_extent_dims(space.id(), extents.data(), nullptr) : -1;
    if (rank < 0) refuse(path_, fmt::format("{} has no simple shape; write it as an array", name_));
    check_size(type.id(), extents.data(), rank);
    shape_.assign(extents.begin(), extents.begin() + rank);
  }

  const std::vector<std::int64_t>& shape() const { return shape_; }
  std::int64_t size() const {
    std::int64_t product = 1;
    for (const std::int64_t extent : shape_) product *= extent;
    return product;
  }

  // Elements [begin, end) of the first axis.
  void read(std::int64_t begin, std::int64_t end, hid_t memory_type, void* to) const {
    std::vector<hsize_t> start(shape_.size(), 0), count(shape_.begin(), shape_.end());
    start[0] = static_cast<hsize_t>(begin);
    count[0] = static_cast<hsize_t>(end - begin);
    const int rank = static_cast<int>(shape_.size());
    const Hdf5Handle file_space(H5Dget_space(dataset_.id()), &H5Sclose);
    const Hdf5Handle memory_space(H5Screate_simple(rank, count.data(), nullptr), &H5Sclose);
    if (H5Sselect_hyperslab(file_space.id(), H5S_SELECT_SET, start.data(), nullptr, count.data(), nullptr) < 0 ||
        H5Dread(dataset_.id(), memory_type, memory_space.id(), file_space.id(), H5P_DEFAULT, to) < 0)
      refuse(path_,
             fmt::format("{} cannot be read from {} to {}; the file is truncated or broken, or its compression filter "
                         "is not installed",
                         name_, begin, end));
  }

  // The text attribute `name`; empty where there is none.
  std::string attribute(const char* name) const {
    if (H5Aexists(dataset_.id(), name) <= 0) return "";
    const Hdf5Handle attribute(H5Aopen(dataset_.id(), name, H5P_DEFAULT), &H5Aclose);
    const Hdf5Handle type(attribute ? H5Aget_type(attribute.id()) : -1, &H5Tclose);
    const Hdf5Handle space(attribute ? H5Aget_space(attribute.id()) : -1, &H5Sclose);
    if (!type || !space || H5Tget_class(type.id()) != H5T_STRING || H5Sget_simple_extent_npoints(space.id()) != 1)
      refuse(path_, fmt::format("the attribute {} of {} is not one text; correct it", name, name_));
    std::string text;
    if (H5Tis_variable_str(type.id()) > 0) {
      char* content = nullptr;
      if (H5Aread(attribute.id(), type.id(), &content) >= 0 && content) text = content;
      H5free_memory(content);
    } else {
      text.resize(H5Tget_size(type.id()));
      if (H5Aread(attribute.id(), type.id(), text.data()) < 0) text.clear();
      text.resize(std::min(text.find('\0'), text.size()));
      text.erase(text.find_last_not_of(' ') + 1);
    }
    return text;
  }

 private:
  void check_size(hid_t type, const hsize_t* extents, int rank) const {
    auto bytes = static_cast<std::int64_t>(H5Tget_size(type));
    for (int axis = 0; axis < rank; ++axis) {
      if (extents[axis] < 1 || extents[axis] > (hsize_t{1} << 62) ||
          __builtin_mul_overflow(bytes, static_cast<std::int64_t>(extents[axis]), &bytes))
        refuse(path_, fmt::format("{} has axis {} of {} elements, which cannot be; correct its shape", name_, axis,
                                  extents[axis]));
    }
    const Hdf5Handle creation(H5Dget_create_plist(dataset_.id()), &H5Pclose);
    if (creation && H5Pget_layout(creation.id()) == H5D_VIRTUAL) return require_sources(creation.id());
    if (!creation || H5Pget_external_count(creation.id()) > 0) return;
    const auto stored =
        static_cast<std::int64_t>(std::min<hsize_t>(H5Dget_storage_size(dataset_.id()), hsize_t{1} << 50));
    const bool filtered = H5Pget_nfilters(creation.id()) > 0;
    if (stored > input_file_size(path_) || bytes > (filtered ? stored * largest_compression_ratio : stored))
      refuse(path_,
             fmt::format("{} declares {} bytes and {} are stored; it is truncated or was never filled, write it again",
                         name_, bytes, stored));
    if (H5Pget_layout(creation.id()) == H5D_CHUNKED) require_chunks(creation.id(), extents, rank);
  }

  // A chunk that was never written reads as zeros: so ends a scan that was interrupted.
  void require_chunks(hid_t creation, const hsize_t* extents, int rank) const {
    std::array<hsize_t, most_dimensions> chunk{};
    hsize_t expected = 1, written = 0;
    H5Pget_chunk(creation, rank, chunk.data());
    for (int axis = 0; axis < rank; ++axis) {
      const hsize_t length = std::max<hsize_t>(1, chunk[axis]);  // a broken file may say 0
      expected *= (extents[axis] + length - 1) / length;
    }
    const Hdf5Handle all(H5Dget_space(dataset_.id()), &H5Sclose);  // HDF5 1.10 counts none for H5S_ALL
    if (H5Dget_num_chunks(dataset_.id(), all.id(), &written) < 0 || written < expected)
      refuse(path_, fmt::format("{} has {} of its {} chunks, the rest was never written; crop it to what was", name_,
                                written, expected));
  }

  // So does a virtual dataset where one of its files is missing. Looked for where HDF5 does.
  void require_sources(hid_t creation) const {
    std::size_t count = 0;
    H5Pget_virtual_count(creation, &count);
    for (std::size_t source = 0; source < count; ++source) {
      std::string name(
          static_cast<std::size_t>(std::max<ssize_t>(0, H5Pget_virtual_filename(creation, source, nullptr, 0))), '\0');
      H5Pget_virtual_filename(creation, source, name.data(), name.size() + 1);
      if (name == "." || name.find('%') != std::string::npos) continue;  // this file; a pattern of those that are there
      const std::filesystem::path file(name), folder = path_.parent_path();
      std::error_code ignored;
      if (!exists(file, ignored) && !exists(folder / file, ignored) && !exists(folder / file.filename(), ignored))
        refuse(path_, fmt::format("{} lies in {:.200}, which is missing; put it beside this file", name_, name));
    }
  }

  std::filesystem::path path_;
  std::string name_;
  Hdf5Handle dataset_;
  std::vector<std::int64_t> shape_;
};

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
