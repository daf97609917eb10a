#pragma once
#include <array>
#include <cstdint>
#include <string>
#include <string_view>

/// DICOM files, byte by byte, as PS3.10 and PS3.5 say: also those that no library would write.
namespace kiban::test {

inline std::string little(std::uint64_t value, int bytes) {
  std::string text;
  for (int i = 0; i < bytes; ++i) text += static_cast<char>(value >> 8 * i);
  return text;
}

/// An element in explicit little endian whose length field says `length`, whatever `value` has.
inline std::string element(std::uint16_t group, std::uint16_t number, std::string_view vr, const std::string& value,
                           std::uint32_t length) {
  const std::string head = little(group, 2) + little(number, 2) + std::string(vr);
  for (const char* wide : {"OB", "OW", "SQ", "UN", "UT"})
    if (vr == wide) return head + little(0, 2) + little(length, 4) + value;
  return head + little(length, 2) + value;
}

inline std::string element(std::uint16_t group, std::uint16_t number, std::string_view vr, std::string value) {
  if (value.size() % 2 == 1) value += vr == "UI" ? '\0' : ' ';
  return element(group, number, vr, value, static_cast<std::uint32_t>(value.size()));
}

constexpr const char* kExplicitLittle = "1.2.840.10008.1.2.1";
constexpr const char* kDeflated = "1.2.840.10008.1.2.1.99";

inline std::string part_10(const std::string& data_set, const std::string& syntax = kExplicitLittle) {
  const std::string meta = element(2, 0x0001, "OB", std::string("\0\1", 2)) +
                           element(2, 0x0002, "UI", "1.2.840.10008.5.1.4.1.1.2") + element(2, 0x0003, "UI", "1.2.3") +
                           element(2, 0x0010, "UI", syntax) + element(2, 0x0012, "UI", "1.2.3.4");
  return std::string(128, '\0') + "DICM" + element(2, 0, "UL", little(meta.size(), 4)) + meta + data_set;
}

/// A small CT image: its modality and the part of the body, and pixel data.
inline std::string ct_file(const std::string& modality, const std::string& body_part) {
  return part_10(element(0x0008, 0x0060, "CS", modality) + element(0x0010, 0x0010, "PN", "Secret^Name") +
                 element(0x0018, 0x0015, "CS", body_part) + element(0x7fe0, 0x0010, "OW", std::string(64, '\7')));
}

}  // namespace kiban::test
