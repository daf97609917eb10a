#include <algorithm>

#include "io/hdf5/exchange_file.hpp"
#include "io/hdf5/hdf5_handle.hpp"
#include "io/output_file.hpp"
#include "kernels/core/error.hpp"

namespace kiban::io {
namespace {

bool write_array(hid_t group, const char* name, const std::vector<hsize_t>& shape, hid_t type, const void* values,
                 const char* unit = nullptr) {
  const Hdf5Handle space(H5Screate_simple(static_cast<int>(shape.size()), shape.data(), nullptr), &H5Sclose);
  Hdf5Handle dataset(H5Dcreate2(group, name, type, space.id(), H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT), &H5Dclose);
  if (!dataset || H5Dwrite(dataset.id(), type, H5S_ALL, H5S_ALL, H5P_DEFAULT, values) < 0) return false;
  if (unit) {
    const Hdf5Handle text(H5Tcopy(H5T_C_S1), &H5Tclose), scalar(H5Screate(H5S_SCALAR), &H5Sclose);
    H5Tset_size(text.id(), std::char_traits<char>::length(unit));
    const Hdf5Handle attribute(H5Acreate2(dataset.id(), "units", text.id(), scalar.id(), H5P_DEFAULT, H5P_DEFAULT),
                               &H5Aclose);
    if (!attribute || H5Awrite(attribute.id(), text.id(), unit) < 0) return false;
  }
  return dataset.close();
}

bool write_frames(hid_t group, const char* name, Span<const float, 3> frames) {
  if (frames.extent(0) == 0) return true;
  const Shape<3>& shape = frames.shape();
  return write_array(group, name, std::vector<hsize_t>(shape.begin(), shape.end()), H5T_NATIVE_FLOAT,
                     frames.host().data);
}

bool write_scan(const std::filesystem::path& path, Span<const float, 3> projections, Span<const float, 3> flats,
                Span<const float, 3> darks, const std::vector<double>& angles_deg) {
  const Hdf5Calls calls;
  Hdf5Handle file(H5Fcreate(path.c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT), &H5Fclose);
  if (!file) return false;
  Hdf5Handle group(H5Gcreate2(file.id(), "exchange", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT), &H5Gclose);
  return group && write_frames(group.id(), "data", projections) && write_frames(group.id(), "data_white", flats) &&
         write_frames(group.id(), "data_dark", darks) &&
         (angles_deg.empty() ||
          write_array(group.id(), "theta", {angles_deg.size()}, H5T_NATIVE_DOUBLE, angles_deg.data(), "deg")) &&
         group.close() && file.close();
}

}  // namespace

void write_exchange(const std::filesystem::path& path, Span<const float, 3> projections, Span<const float, 3> flats,
                    Span<const float, 3> darks, const std::vector<double>& angles_deg) {
  const auto fits = [&](Span<const float, 3> frames) {
    return frames.extent(0) == 0 ||
           (frames.extent(1) == projections.extent(1) && frames.extent(2) == projections.extent(2));
  };
  if (!fits(flats) || !fits(darks) ||
      (!angles_deg.empty() && static_cast<std::int64_t>(angles_deg.size()) != projections.extent(0)))
    throw Error(ErrorCode::internal, path.string() + ": flats, darks or angles do not fit the projections");
  OutputFile output(path);
  if (!write_scan(output.temporary_path(), projections, flats, darks, angles_deg))
    throw write_error(path, errno_of_growth(output.temporary_path()));
  output.commit();
}

}  // namespace kiban::io
