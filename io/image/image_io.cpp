#include "io/image/image_io.hpp"

#include <fmt/format.h>
#include <itkImageIOFactory.h>
#include <itkMetaImageIOFactory.h>
#include <itkNiftiImageIOFactory.h>
#include <itkNrrdImageIOFactory.h>
#include <itkObject.h>
#include <itkPNGImageIOFactory.h>
#include <itkTIFFImageIOFactory.h>
#include <locale.h>
#include <nifti1_io.h>

#include <algorithm>
#include <cerrno>
#include <cstdarg>
#include <new>
#include <string>

#include "io/library_lock.hpp"
#include "kernels/core/error.hpp"

// ITK's own copy of libtiff, whose header Debian does not ship. Weak: an ITK built with the system's libtiff lacks
// them.
extern "C" {
using TiffHandler = void (*)(const char*, const char*, va_list);
[[gnu::weak]] TiffHandler itk_TIFFSetWarningHandler(TiffHandler handler);
[[gnu::weak]] TiffHandler itk_TIFFSetErrorHandler(TiffHandler handler);
}

namespace kiban::io {
namespace {

void register_formats() {
  static const bool registered = [] {
    itk::Object::GlobalWarningDisplayOff();
    nifti_set_debug_level(0);
    if (itk_TIFFSetWarningHandler) itk_TIFFSetWarningHandler(nullptr);
    if (itk_TIFFSetErrorHandler) itk_TIFFSetErrorHandler(nullptr);
    itk::MetaImageIOFactory::RegisterOneFactory();
    itk::NrrdImageIOFactory::RegisterOneFactory();
    itk::NiftiImageIOFactory::RegisterOneFactory();
    itk::TIFFImageIOFactory::RegisterOneFactory();
    itk::PNGImageIOFactory::RegisterOneFactory();
    return true;
  }();
  static_cast<void>(registered);
}

// The first line of ITK's text, without "itk::ERROR: SomeClass(0x1234): ".
std::string reason(const itk::ExceptionObject& exception) {
  std::string text = exception.GetDescription();
  if (const std::size_t prefix = text.find("): "); prefix < 80) text.erase(0, prefix + 3);
  text.erase(std::min(text.find_first_of("\r\n"), text.size()));
  return text.substr(0, 160);
}

// The C locale for this thread: NRRD's library reads and writes numbers with the comma of a German host program.
class PlainNumbers {
 public:
  PlainNumbers() : before_(uselocale(plain())) {}
  ~PlainNumbers() { uselocale(before_); }
  PlainNumbers(const PlainNumbers&) = delete;
  PlainNumbers& operator=(const PlainNumbers&) = delete;

 private:
  static locale_t plain() {
    static const locale_t locale = newlocale(LC_ALL_MASK, "C", nullptr);
    return locale;
  }
  locale_t before_;
};

}  // namespace

itk::ImageIOBase::Pointer create_image_io(const std::filesystem::path& path, itk::IOFileModeEnum mode) {
  register_formats();
  const itk::ImageIOBase::Pointer io = itk::ImageIOFactory::CreateImageIO(path.c_str(), mode);
  if (!io) refuse_image(path, "the image library does not take it for a file of its format; write it again");
  io->SetFileName(path.string());
  return io;
}

void run_itk(const std::filesystem::path& path, const std::function<void()>& work) {
  const LibraryLock lock;
  const PlainNumbers plain_numbers;
  try {
    work();
  } catch (const itk::ExceptionObject& exception) {
    refuse_image(path, fmt::format("the image library gave up on it ({}); check the file", reason(exception)));
  } catch (const std::bad_alloc&) {
    throw Error(ErrorCode::input,
                fmt::format("{}: not enough memory; crop the data, or use a machine with more memory", path.string()),
                ENOMEM);
  }
}

itk::ImageIORegion slice_region(const Shape<3>& shape, unsigned dimensions, std::int64_t begin, std::int64_t end,
                                std::int64_t volumes) {
  itk::ImageIORegion region(dimensions);
  for (unsigned axis = 0; axis < dimensions; ++axis) {
    region.SetIndex(axis, axis == 2 ? begin : 0);
    const std::int64_t extent = axis == 3 ? volumes : axis == 2 ? end - begin : shape[2 - axis];
    region.SetSize(axis, static_cast<itk::SizeValueType>(extent));
  }
  return region;
}

}  // namespace kiban::io
