#include "io/genome/regions.hpp"

#include <fmt/format.h>
#include <htslib/hts.h>

#include <algorithm>
#include <fstream>
#include <limits>
#include <sstream>

#include "io/input_file.hpp"

namespace kiban::io {
namespace {

int contig_number(void* contigs, const char* name) {
  return static_cast<int>(find_contig(*static_cast<const std::vector<Contig>*>(contigs), name));
}

}  // namespace

std::vector<GenomeRegion> parse_regions(const std::string& text, const std::vector<Contig>& contigs) {
  hts_set_log_level(HTS_LOG_OFF);
  std::vector<GenomeRegion> regions;
  std::vector<Contig> known = contigs;  // HTSlib takes no const
  for (const char* at = text.c_str(); *at != '\0';) {
    int contig = -1;
    hts_pos_t begin = 0, end = 0;
    const char* const next = hts_parse_region(at, &contig, &begin, &end, contig_number, &known, HTS_PARSE_LIST);
    const std::string rest(at), one = rest.substr(0, rest.find(','));
    const std::string name = one.substr(0, one.find(':'));
    if (!next || contig < 0)
      throw Error(
          ErrorCode::usage,
          fmt::format("regions: {} is no region like chr20:10000000-10100000{}", one,
                      find_contig(contigs, name) < 0 ? contig_hint(contigs, name, "the reference") : std::string()));
    const std::int64_t length = contigs[static_cast<std::size_t>(contig)].length;
    end = std::min<std::int64_t>(end, length);
    if (begin < 0 || begin >= end)
      throw Error(ErrorCode::usage, fmt::format("regions: {} lies beyond the {} bases of {}", one, length, name));
    regions.push_back({contig, begin, end});
    at = next;
  }
  if (regions.empty()) throw Error(ErrorCode::usage, "regions: there is none; write one like chr20:10000000-10100000");
  return regions;
}

std::vector<NumberedRegion> read_numbered_bed(const std::filesystem::path& path, const std::vector<Contig>& contigs,
                                              int most) {
  input_file_size(path);
  std::ifstream lines(path);
  std::vector<NumberedRegion> regions;
  std::int64_t line_number = 0;
  const auto refuse = [&](const std::string& what) {
    throw input_error(path, fmt::format("line {}: {}", line_number, what));
  };
  for (std::string line; std::getline(lines, line);) {
    ++line_number;
    if (!line.empty() && line.back() == '\r') line.pop_back();
    if (line.empty() || line[0] == '#' || line.starts_with("track") || line.starts_with("browser")) continue;
    std::istringstream fields(line);
    std::string name;
    NumberedRegion region;
    std::int64_t number = 0;
    if (!(fields >> name >> region.begin >> region.end >> number))
      refuse("has not a sequence, begin, end and a number");
    region.contig = find_contig(contigs, name);
    if (region.contig < 0) refuse("there is no sequence " + name + contig_hint(contigs, name, "the reference"));
    if (region.begin < 0 || region.end <= region.begin) refuse("begin and end are no region");
    if (number < 1 || number > most) refuse(fmt::format("the number must be 1 to {}", most));
    region.number = static_cast<int>(number);
    regions.push_back(region);
  }
  const auto place = [](const GenomeRegion& region) { return std::pair(region.contig, region.begin); };
  std::ranges::sort(regions, {}, place);
  for (std::size_t i = 1; i < regions.size(); ++i)
    if (regions[i].contig == regions[i - 1].contig && regions[i].begin < regions[i - 1].end)
      throw input_error(path, fmt::format("regions of {} overlap at {}",
                                          contigs[static_cast<std::size_t>(regions[i].contig)].name, regions[i].begin));
  return regions;
}

}  // namespace kiban::io
