// Pixels of one image: read, decoded by DCMTK or OpenJPEG, and turned into values.
#include <dcmtk/config/osconfig.h>
#include <dcmtk/dcmdata/dcfilefo.h>
#include <dcmtk/dcmdata/dcpixel.h>
#include <dcmtk/dcmdata/dcpixseq.h>
#include <dcmtk/dcmdata/dcpxitem.h>
#include <dcmtk/dcmdata/dcrledrg.h>
#include <dcmtk/dcmdata/dctk.h>
#include <dcmtk/dcmjpeg/djdecode.h>
#include <dcmtk/dcmjpls/djdecode.h>
#include <fmt/format.h>

#include <charconv>
#include <cmath>
#include <string>

#include "io/dicom/guarded_stream.hpp"
#include "io/dicom/parts.hpp"
#include "io/input_file.hpp"
#include "kernels/core/error.hpp"

namespace kiban::io {
namespace {

namespace fs = std::filesystem;

constexpr DicomTag samples{0x0028, 0x0002}, photometric{0x0028, 0x0004}, frames{0x0028, 0x0008}, rows{0x0028, 0x0010},
    columns{0x0028, 0x0011}, allocated{0x0028, 0x0100}, stored{0x0028, 0x0101}, high{0x0028, 0x0102},
    representation{0x0028, 0x0103};

int whole_number(const fs::path& file, const DicomValues& values, DicomTag tag, const char* what, int least, int most,
                 int otherwise) {
  const auto found = values.find(tag);
  if (found == values.end() && otherwise >= least) return otherwise;
  const std::string text = found == values.end() ? "" : found->second;
  int number = 0;
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (failure != std::errc() || end != text.data() + text.size() || number < least || number > most)
    throw input_error(file, text.empty()
                                ? fmt::format("has no {}; send it again", what)
                                : fmt::format("its {} is {}, and {} to {} can be read", what, text, least, most));
  return number;
}

/// DCMTK's list of decoders does not free what it is given.
struct Decoders {
  Decoders() {
    DJDecoderRegistration::registerCodecs();
    DJLSDecoderRegistration::registerCodecs();
    DcmRLEDecoderRegistration::registerCodecs();
  }
  ~Decoders() {
    DJDecoderRegistration::cleanup();
    DJLSDecoderRegistration::cleanup();
    DcmRLEDecoderRegistration::cleanup();
  }
  Decoders(const Decoders&) = delete;
  Decoders& operator=(const Decoders&) = delete;
};

/// The frame's numbers where the stream is JPEG 2000, which DCMTK does not decode.
std::vector<std::int32_t> jpeg_2000_frame(const fs::path& file, DcmPixelData& pixels, const PixelFormat& format,
                                          E_TransferSyntax syntax) {
  DcmPixelSequence* sequence = nullptr;
  if (pixels.getEncapsulatedRepresentation(syntax, nullptr, sequence).bad() || !sequence)
    throw input_error(file, "its JPEG 2000 pixels cannot be found; send it again");
  std::vector<std::uint8_t> stream;
  for (unsigned long k = 1; k < sequence->card(); ++k) {  // the first item is a table of offsets
    DcmPixelItem* item = nullptr;
    Uint8* bytes = nullptr;
    if (sequence->getItem(item, k).bad() || !item || item->getUint8Array(bytes).bad()) break;
    if (bytes) stream.insert(stream.end(), bytes, bytes + item->getLength());
  }
  return decode_jpeg_2000(file, stream, format);
}

std::vector<std::int32_t> plain_frame(const fs::path& file, DcmDataset& dataset, const PixelFormat& format) {
  const auto voxels = static_cast<std::size_t>(format.rows * format.columns);
  std::vector<std::int32_t> numbers;
  unsigned long count = 0;
  // Before memory is taken for what the header promises.
  const auto require = [&](OFCondition found, const void* data, unsigned long numbers_there) {
    if (found.bad() || !data || numbers_there < voxels)
      throw input_error(file, fmt::format("ends after {} of {} pixels; send it again", numbers_there, voxels));
    numbers.resize(voxels);
  };
  if (format.bits_allocated == 8) {
    // Pixels of 8 bits are OW in a file without explicit VRs: two to a word.
    const Uint16* words = nullptr;
    const Uint8* bytes = nullptr;
    if (dataset.findAndGetUint8Array(DCM_PixelData, bytes, &count).good() && bytes) {
      require(EC_Normal, bytes, count);
      for (std::size_t i = 0; i < voxels; ++i) numbers[i] = bytes[i];
    } else {
      const OFCondition found = dataset.findAndGetUint16Array(DCM_PixelData, words, &count);
      require(found, words, 2 * count);
      for (std::size_t i = 0; i < voxels; ++i) numbers[i] = words[i / 2] >> (i % 2 ? 8 : 0) & 0xFF;
    }
  } else {
    const Uint16* words = nullptr;
    const OFCondition found = dataset.findAndGetUint16Array(DCM_PixelData, words, &count);
    require(found, words, count);
    for (std::size_t i = 0; i < voxels; ++i) numbers[i] = words[i];
  }
  return numbers;
}

/// The bits that hold a number, with its sign. What a decoder of JPEG 2000 gives has its sign already.
void take_bits(const PixelFormat& format, std::vector<std::int32_t>& numbers) {
  const int shift = format.high_bit + 1 - format.bits_stored;
  const std::int32_t mask = static_cast<std::int32_t>((std::int64_t{1} << format.bits_stored) - 1);
  const std::int32_t sign = std::int32_t{1} << (format.bits_stored - 1);
  for (std::int32_t& number : numbers) {
    number = number >> shift & mask;
    if (format.is_signed && (number & sign) != 0) number -= mask + 1;
  }
}

/// A decoder changes the header to what its stream held.
void take_decoded_format(const fs::path& file, DcmDataset& dataset, PixelFormat& format) {
  Uint16 bits_allocated = 0, bits_stored = 0, high_bit = 0;
  if (dataset.findAndGetUint16(DCM_BitsAllocated, bits_allocated).bad() ||
      dataset.findAndGetUint16(DCM_BitsStored, bits_stored).bad() ||
      dataset.findAndGetUint16(DCM_HighBit, high_bit).bad() || (bits_allocated != 8 && bits_allocated != 16) ||
      bits_stored < 1 || high_bit + 1 < bits_stored || high_bit >= bits_allocated)
    throw input_error(file, "its pixels are of a kind that is not read; send it in another transfer syntax");
  if (bits_stored > format.bits_stored || (format.is_signed && bits_stored != format.bits_stored))
    throw input_error(file,
                      fmt::format("its header says {} bits a pixel and its compressed stream holds {}; send it in "
                                  "another transfer syntax",
                                  format.bits_stored, bits_stored));
  format.bits_allocated = bits_allocated;
  format.bits_stored = bits_stored;
  format.high_bit = high_bit;
}

std::vector<std::int32_t> stored_numbers(const fs::path& file, PixelFormat& format) {
  // DCMTK looks at the beginning twice and more.
  GuardedStream stream(file, static_cast<offile_off_t>(input_file_size(file)) + (1 << 20));
  DcmFileFormat image;
  image.setReadMode(ERM_fileOnly);
  image.transferInit();
  const OFCondition read = image.read(stream);
  image.transferEnd();
  if (stream.gone_too_far()) throw input_error(file, "is nested too deeply; look at what sent it");
  if (stream.deflated()) throw input_error(file, "is deflated DICOM, which is not read; send it in another syntax");
  if (read.bad()) throw input_error(file, fmt::format("is not sound DICOM ({}); send it again", read.text()));
  DcmDataset& dataset = *image.getDataset();
  DcmElement* element = nullptr;
  if (dataset.findAndGetElement(DCM_PixelData, element).bad() || !element)
    throw input_error(file, "has no pixels; send it again");
  // Before a decoder takes memory for what the header promises: an image of one value takes a byte for some thousand
  // pixels.
  constexpr std::int64_t most_pixels_a_byte = 20000;
  if (format.rows * format.columns / most_pixels_a_byte > input_file_size(file))
    throw input_error(file, fmt::format("is too short for {} x {} pixels; send it again", format.columns, format.rows));
  const E_TransferSyntax syntax = dataset.getOriginalXfer();
  auto* const pixels = dynamic_cast<DcmPixelData*>(element);
  if (syntax == EXS_JPEG2000LosslessOnly || syntax == EXS_JPEG2000) {
    if (!pixels) throw input_error(file, "its pixels are not JPEG 2000, as its transfer syntax says; send it again");
    format.high_bit = format.bits_stored - 1;
    return jpeg_2000_frame(file, *pixels, format, syntax);
  }
  if (dataset.chooseRepresentation(EXS_LittleEndianExplicit, nullptr).bad())
    throw input_error(file, fmt::format("is stored as {}, which is not decoded, or not soundly so; send it in another "
                                        "transfer syntax",
                                        DcmXfer(syntax).getXferName()));
  take_decoded_format(file, dataset, format);
  return plain_frame(file, dataset, format);
}

void read_slice(const DicomSlice& slice, const DicomSeries& series, const VoxelSpan& to) {
  const std::optional<DicomValues> values = dicom_values(slice.file, pixel_tags());
  if (!values) throw input_error(slice.file, "is no longer the DICOM file that it was; try again");
  PixelFormat format = pixel_format(slice.file, *values);
  if (format.rows != series.grid.shape[1] || format.columns != series.grid.shape[2])
    throw input_error(slice.file, "is no longer the image that it was; try again");
  std::vector<std::int32_t> numbers = stored_numbers(slice.file, format);
  take_bits(format, numbers);
  with_voxel_type(to.type(), [&]<class T>() {
    T* const made = static_cast<T*>(to.data());
    for (std::size_t i = 0; i < numbers.size(); ++i)
      made[i] = static_cast<T>(slice.slope * numbers[i] + slice.intercept);
  });
}

}  // namespace

std::vector<DicomTag> pixel_tags() {
  return {samples, photometric, frames, rows, columns, allocated, stored, high, representation};
}

PixelFormat pixel_format(const fs::path& file, const DicomValues& values) {
  const auto number = [&](DicomTag tag, const char* what, int least, int most, int otherwise) {
    return whole_number(file, values, tag, what, least, most, otherwise);
  };
  const auto photometry = values.find(photometric);
  const std::string kind = photometry == values.end() ? "" : photometry->second;
  if (number(samples, "SamplesPerPixel", 1, 4, 1) != 1 || (kind != "MONOCHROME1" && kind != "MONOCHROME2"))
    throw input_error(file, fmt::format("its pixels are {}, and only those of one grey value are read",
                                        kind.empty() ? "of an unknown kind" : kind));
  if (number(frames, "NumberOfFrames", 1, 1 << 30, 1) != 1)
    throw input_error(file, "has several frames; convert it to one image a file");
  PixelFormat format;
  format.rows = number(rows, "Rows", 1, 65535, 0);
  format.columns = number(columns, "Columns", 1, 65535, 0);
  format.bits_allocated = number(allocated, "BitsAllocated", 8, 16, 0);
  if (format.bits_allocated != 8 && format.bits_allocated != 16)
    throw input_error(file, fmt::format("its BitsAllocated is {}, and 8 or 16 can be read", format.bits_allocated));
  format.bits_stored = number(stored, "BitsStored", 1, format.bits_allocated, 0);
  format.high_bit = number(high, "HighBit", format.bits_stored - 1, format.bits_allocated - 1, format.bits_stored - 1);
  format.is_signed = number(representation, "PixelRepresentation", 0, 1, 0) == 1;
  return format;
}

void read_dicom_slices(const DicomSeries& series, std::int64_t begin, const VoxelSpan& slices) {
  if (begin < 0 || begin + slices.extent(0) > series.grid.shape[0] || slices.type() != series.type)
    throw Error(ErrorCode::internal, "slices of a DICOM series were asked for that it does not have");
  silence();
  static const Decoders registered;
  for (std::int64_t k = 0; k < slices.extent(0); ++k)
    read_slice(series.slices[static_cast<std::size_t>(begin + k)], series, slices.slice(k, k + 1));
}

}  // namespace kiban::io
