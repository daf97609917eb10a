#include "io/image/png.hpp"

#include "io/image/image_io.hpp"
#include "io/output_file.hpp"

namespace kiban::io {

void require_preview_name(const std::filesystem::path& path) {
  if (path.extension() != ".png") refuse_image(path, "a preview is a PNG picture; name it .png");
}

void write_png(const std::filesystem::path& path, const Picture& picture) {
  require_preview_name(path);
  OutputFile output(path);
  run_itk(path, [&] {
    const itk::ImageIOBase::Pointer io = create_image_io(output.temporary_path(), itk::IOFileModeEnum::WriteMode);
    io->SetNumberOfDimensions(2);
    io->SetDimensions(0, static_cast<itk::SizeValueType>(picture.columns));
    io->SetDimensions(1, static_cast<itk::SizeValueType>(picture.rows));
    io->SetPixelType(picture.channels == 1 ? itk::IOPixelEnum::SCALAR : itk::IOPixelEnum::RGB);
    io->SetNumberOfComponents(static_cast<unsigned>(picture.channels));
    io->SetComponentType(itk::IOComponentEnum::UCHAR);
    io->SetIORegion(slice_region({1, picture.rows, picture.columns}, 2, 0, 1));
    io->Write(picture.pixels.data());
  });
  output.commit();
}

}  // namespace kiban::io
