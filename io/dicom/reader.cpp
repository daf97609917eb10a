// libkiban_dicom: what io/dicom_reader.hpp promises, by DCMTK.
#include <dcmtk/config/osconfig.h>
#include <dcmtk/dcmdata/dcdict.h>
#include <dcmtk/dcmdata/dcfilefo.h>
#include <dcmtk/dcmdata/dcspchrs.h>
#include <dcmtk/dcmdata/dctk.h>
#include <dcmtk/oflog/oflog.h>
#include <fmt/format.h>
#include <iconv.h>

#include <algorithm>
#include <charconv>
#include <memory>
#include <type_traits>

#include "io/dicom/guarded_stream.hpp"
#include "io/dicom/parts.hpp"
#include "io/dicom_reader.hpp"
#include "io/input_file.hpp"

namespace kiban::io {

namespace fs = std::filesystem;

void silence() {
  static const bool done = [] {
    OFLog::configure(OFLogger::OFF_LOG_LEVEL);
    return true;
  }();
  static_cast<void>(done);
}

namespace {

constexpr DicomTag kCharacterSet{0x0008, 0x0005}, kPixelGroup{0x7fe0, 0x0000};
constexpr offile_off_t kMostBytes = 1 << 20;
constexpr Uint32 kLongestValue = 1024;

DcmTagKey key_of(DicomTag tag) { return {tag.group, tag.element}; }

std::optional<DicomTag> numbered(std::string_view name) {
  DicomTag tag;
  const auto read = [](std::string_view digits, std::uint16_t& number) {
    const auto [end, failure] = std::from_chars(digits.begin(), digits.end(), number, 16);
    return failure == std::errc() && end == digits.end();
  };
  if (name.size() != 9 || name[4] != ',' || !read(name.substr(0, 4), tag.group) || !read(name.substr(5), tag.element))
    return std::nullopt;
  return tag;
}

DicomTag tag(std::string_view name) {
  silence();
  const auto refuse = [&](const char* why) { throw Error(ErrorCode::usage, fmt::format("{} {}", name, why)); };
  DicomTag found;
  if (const auto number = numbered(name)) {
    found = *number;
  } else {
    const DcmDataDictionary& dictionary = dcmDataDict.rdlock();
    const bool loaded = dictionary.isDictionaryLoaded();
    const DcmDictEntry* entry = dictionary.findEntry(std::string(name).c_str());
    if (entry) found = {entry->getGroup(), entry->getElement()};
    const bool is_sequence = entry && entry->getEVR() == EVR_SQ;
    dcmDataDict.rdunlock();
    if (!loaded) refuse("cannot be looked up, DCMTK's dictionary is missing; write \"gggg,eeee\" or set DCMDICTPATH");
    if (!entry) refuse("is no keyword of DICOM; write it as \"Modality\", or its number as \"0008,0060\"");
    if (is_sequence) refuse("is a sequence, which has no text; name a plain attribute");
  }
  if (found >= kPixelGroup) refuse("lies behind the pixel data's beginning, which is not read; name one before it");
  return found;
}

/// Texts of a data set as UTF-8, where they can be made that, else as they are.
class Texts {
 public:
  explicit Texts(DcmItem& item) {
    OFString declared;
    item.findAndGetOFStringArray(key_of(kCharacterSet), declared);
    convertible_ = characters_.selectCharacterSet(declared).good();
    // DCMTK with glibc's iconv knows no kanji; glibc does, by another name.
    if (!convertible_ && declared.find("ISO 2022 IR 87") != OFString_npos)
      japanese_.reset(iconv_open("UTF-8", "ISO-2022-JP"));
  }

  std::string of(DcmElement& element) {
    OFString text, converted;
    if (element.getOFStringArray(text).bad()) return "";
    if (element.isAffectedBySpecificCharacterSet()) {
      if (convertible_ && characters_.convertString(text, converted, "\\^=").good()) text = converted;
      if (japanese_) return japanese({text.c_str(), text.size()});
    }
    return {text.c_str(), text.size()};
  }

 private:
  struct Close {
    void operator()(iconv_t opened) const {
      if (opened != reinterpret_cast<iconv_t>(-1)) iconv_close(opened);
    }
  };

  std::string japanese(std::string text) {
    if (japanese_.get() == reinterpret_cast<iconv_t>(-1)) return text;
    std::string utf8(text.size() * 3, '\0');  // two bytes become three at most
    char *from = text.data(), *to = utf8.data();
    std::size_t from_left = text.size(), to_left = utf8.size();
    iconv(japanese_.get(), nullptr, nullptr, nullptr, nullptr);
    if (iconv(japanese_.get(), &from, &from_left, &to, &to_left) == static_cast<std::size_t>(-1)) return text;
    utf8.resize(utf8.size() - to_left);
    return utf8;
  }

  DcmSpecificCharacterSet characters_;
  std::unique_ptr<std::remove_pointer_t<iconv_t>, Close> japanese_;
  bool convertible_ = false;
};

void add_values(DcmItem& item, bool meta, const std::vector<DicomTag>& tags, DicomValues& values) {
  Texts texts(item);
  for (const DicomTag& wanted : tags) {
    DcmElement* element = nullptr;
    if ((wanted.group == 2) != meta || item.findAndGetElement(key_of(wanted), element).bad() || !element) continue;
    if (element->getLengthField() > kLongestValue || !element->isLeaf()) continue;
    if (std::string text = texts.of(*element); !text.empty()) values[wanted] = std::move(text);
  }
}

}  // namespace

std::optional<DicomValues> dicom_values(const fs::path& path, const std::vector<DicomTag>& tags) {
  silence();
  const std::int64_t size = input_file_size(path);
  if (size < 132 || !begins_as_dicom(path)) return std::nullopt;
  DicomTag last = kCharacterSet;
  for (const DicomTag& wanted : tags) last = std::max(last, wanted);
  const DcmTagKey stop = last.element == 0xffff ? DcmTagKey(static_cast<Uint16>(last.group + 1), 0)
                                                : DcmTagKey(last.group, static_cast<Uint16>(last.element + 1));
  GuardedStream stream(path, kMostBytes);
  DcmFileFormat file;
  file.setReadMode(ERM_fileOnly);
  file.transferInit();
  const OFCondition read = file.readUntilTag(stream, EXS_Unknown, EGL_noChange, kLongestValue, stop);
  file.transferEnd();
  if (stream.gone_too_far())
    throw input_error(path, "its DICOM header is nested too deeply or too long; look at what sent it");
  if (stream.deflated()) throw input_error(path, "is deflated DICOM, which is not read; send it in another syntax");
  if (read.bad()) throw input_error(path, fmt::format("is not sound DICOM ({}); send it again", read.text()));
  DicomValues found;
  add_values(*file.getMetaInfo(), true, tags, found);
  add_values(*file.getDataset(), false, tags, found);
  return found;
}

}  // namespace kiban::io

extern "C" const kiban::io::DicomReader kiban_dicom_reader{&kiban::io::tag, &kiban::io::dicom_values,
                                                           &kiban::io::dicom_series, &kiban::io::read_dicom_slices};
