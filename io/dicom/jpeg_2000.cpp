// JPEG 2000, which DCMTK does not decode, by OpenJPEG.
#include <fmt/format.h>
#include <openjpeg.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <string>

#include "io/dicom/parts.hpp"
#include "io/input_file.hpp"

namespace kiban::io {
namespace {

/// Bytes in memory, as OpenJPEG asks for them.
struct Bytes {
  const std::vector<std::uint8_t>& all;
  std::size_t at = 0;

  static OPJ_SIZE_T read(void* to, OPJ_SIZE_T count, void* user) {
    Bytes& bytes = *static_cast<Bytes*>(user);
    const std::size_t given = std::min<std::size_t>(count, bytes.all.size() - bytes.at);
    if (given == 0) return static_cast<OPJ_SIZE_T>(-1);
    std::memcpy(to, bytes.all.data() + bytes.at, given);
    bytes.at += given;
    return given;
  }
  static OPJ_OFF_T skip(OPJ_OFF_T count, void* user) {
    Bytes& bytes = *static_cast<Bytes*>(user);
    const auto left = static_cast<OPJ_OFF_T>(bytes.all.size() - bytes.at);
    const OPJ_OFF_T skipped = std::clamp<OPJ_OFF_T>(count, 0, left);
    bytes.at += static_cast<std::size_t>(skipped);
    return skipped;
  }
  static OPJ_BOOL seek(OPJ_OFF_T to, void* user) {
    Bytes& bytes = *static_cast<Bytes*>(user);
    if (to < 0 || to > static_cast<OPJ_OFF_T>(bytes.all.size())) return OPJ_FALSE;
    bytes.at = static_cast<std::size_t>(to);
    return OPJ_TRUE;
  }
};

void say_nothing(const char*, void*) {}

}  // namespace

std::vector<std::int32_t> decode_jpeg_2000(const std::filesystem::path& file, std::vector<std::uint8_t>& stream,
                                           const PixelFormat& format) {
  const auto refuse = [&](const std::string& why) {
    throw input_error(file, "its JPEG 2000 stream " + why + "; send it again, or in another transfer syntax");
  };
  const bool is_boxed = stream.size() >= 12 && std::memcmp(stream.data() + 4, "jP  ", 4) == 0;
  const std::unique_ptr<opj_codec_t, decltype(&opj_destroy_codec)> codec(
      opj_create_decompress(is_boxed ? OPJ_CODEC_JP2 : OPJ_CODEC_J2K), &opj_destroy_codec);
  const std::unique_ptr<opj_stream_t, decltype(&opj_stream_destroy)> source(opj_stream_default_create(OPJ_TRUE),
                                                                            &opj_stream_destroy);
  if (!codec || !source) refuse("cannot be opened, for want of memory");
  Bytes bytes{stream};
  opj_stream_set_user_data(source.get(), &bytes, nullptr);
  opj_stream_set_user_data_length(source.get(), stream.size());
  opj_stream_set_read_function(source.get(), &Bytes::read);
  opj_stream_set_skip_function(source.get(), &Bytes::skip);
  opj_stream_set_seek_function(source.get(), &Bytes::seek);
  opj_set_info_handler(codec.get(), &say_nothing, nullptr);
  opj_set_warning_handler(codec.get(), &say_nothing, nullptr);
  opj_set_error_handler(codec.get(), &say_nothing, nullptr);
  opj_dparameters_t parameters;
  opj_set_default_decoder_parameters(&parameters);
  opj_image_t* opened = nullptr;
  const bool has_header =
      opj_setup_decoder(codec.get(), &parameters) && opj_read_header(source.get(), codec.get(), &opened);
  const std::unique_ptr<opj_image_t, decltype(&opj_image_destroy)> image(opened, &opj_image_destroy);
  if (!has_header || !image) refuse("is broken");
  // Before anything is taken for its pixels: they are as many as the image's header says.
  if (image->numcomps != 1) refuse(fmt::format("has {} components", image->numcomps));
  const opj_image_comp_t& header = image->comps[0];
  if (header.w != format.columns || header.h != format.rows || header.prec > 16)
    refuse(fmt::format("is of {} x {} pixels of {} bits, and the image of {} x {}", header.w, header.h, header.prec,
                       format.columns, format.rows));
  if (!opj_decode(codec.get(), source.get(), image.get()) || !opj_end_decompress(codec.get(), source.get()) ||
      !image->comps[0].data)
    refuse("ends early or is broken");
  const opj_image_comp_t& component = image->comps[0];
  if (image->numcomps != 1 || component.w != format.columns || component.h != format.rows)
    refuse("changes its size or its colours");
  std::vector<std::int32_t> numbers(component.data, component.data + format.rows * format.columns);
  const auto [least, largest] = std::ranges::minmax(numbers);
  const double most = static_cast<double>((std::int64_t{1} << format.bits_stored) - 1);  // signed ones as bits, too
  if (least < std::min(0.0, format.least()) || largest > most)
    refuse(fmt::format("holds numbers from {} to {}, more than {} bits", least, largest, format.bits_stored));
  return numbers;
}

}  // namespace kiban::io
