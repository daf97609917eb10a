#include "io/geometry/rtk_xml.hpp"

#include <fmt/format.h>
#include <strings.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <iterator>
#include <limits>
#include <memory>
#include <numbers>
#include <optional>
#include <pugixml.hpp>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "io/input_file.hpp"
#include "io/memory.hpp"
#include "io/output_file.hpp"
#include "kernels/core/error.hpp"
#include "kernels/core/vec.hpp"

namespace kiban::io {
namespace {

constexpr const char* root_name = "RTKThreeDCircularGeometry";
constexpr double matrix_tolerance = 1e-3;  // what RTK itself accepts
// "No jaw" is the largest double. With RTK's 15 digits it is rounded up, beyond what a double holds.
constexpr std::string_view largest_as_rtk_writes_it = "1.79769313486232e+308";

struct Parameter {
  const char* name;
  double& (*of)(CircularView&);
};

using V = CircularView;
// In the order in which RTK writes them. `GantryAngle` comes first: it is the one that always belongs to a projection.
constexpr std::array<Parameter, 13> parameters{{
    {"GantryAngle", [](V& v) -> double& { return v.gantry_angle_deg; }},
    {"SourceToIsocenterDistance", [](V& v) -> double& { return v.source_to_isocentre_mm; }},
    {"SourceToDetectorDistance", [](V& v) -> double& { return v.source_to_detector_mm; }},
    {"SourceOffsetX", [](V& v) -> double& { return v.source_offset_x_mm; }},
    {"SourceOffsetY", [](V& v) -> double& { return v.source_offset_y_mm; }},
    {"ProjectionOffsetX", [](V& v) -> double& { return v.projection_offset_x_mm; }},
    {"ProjectionOffsetY", [](V& v) -> double& { return v.projection_offset_y_mm; }},
    {"InPlaneAngle", [](V& v) -> double& { return v.in_plane_angle_deg; }},
    {"OutOfPlaneAngle", [](V& v) -> double& { return v.out_of_plane_angle_deg; }},
    {"CollimationUInf", [](V& v) -> double& { return v.collimation.u_inf_mm; }},
    {"CollimationUSup", [](V& v) -> double& { return v.collimation.u_sup_mm; }},
    {"CollimationVInf", [](V& v) -> double& { return v.collimation.v_inf_mm; }},
    {"CollimationVSup", [](V& v) -> double& { return v.collimation.v_sup_mm; }},
}};

double value(const Parameter& parameter, CircularView view) { return parameter.of(view); }

using Matrix34 = std::array<std::array<double, 4>, 3>;

// World mm to detector mm, as RTK's geometry document derives it: translation x magnification x source translation x
// rotation, where the rotation is Rz(-in plane) Rx(-out of plane) Ry(-gantry).
Matrix34 projection_matrix(const CircularView& view) {
  const auto cosine = [](double degrees) { return std::cos(-degrees * std::numbers::pi / 180); };
  const auto sine = [](double degrees) { return std::sin(-degrees * std::numbers::pi / 180); };
  const double cz = cosine(view.in_plane_angle_deg), sz = sine(view.in_plane_angle_deg);
  const double cx = cosine(view.out_of_plane_angle_deg), sx = sine(view.out_of_plane_angle_deg);
  const double cy = cosine(view.gantry_angle_deg), sy = sine(view.gantry_angle_deg);
  const Mat3 rotation{Vec3{cz * cy - sz * sx * sy, -sz * cx, cz * sy + sz * sx * cy},
                      Vec3{sz * cy + cz * sx * sy, cz * cx, sz * sy - cz * sx * cy}, Vec3{-cx * sy, sx, cx * cy}};
  const bool parallel = view.source_to_detector_mm == 0;
  const double magnification = parallel ? 1 : -view.source_to_detector_mm;
  const Vec3 depth = parallel ? Vec3{0, 0, 0} : rotation[2];
  const double depth_offset = parallel ? 1 : -view.source_to_isocentre_mm;
  const double source[2] = {view.source_offset_x_mm, view.source_offset_y_mm};
  const double detector[2] = {view.projection_offset_x_mm, view.projection_offset_y_mm};
  Matrix34 matrix{};
  for (std::size_t row = 0; row < 2; ++row) {
    const double shift = source[row] - detector[row];
    for (std::size_t column = 0; column < 3; ++column)
      matrix[row][column] = magnification * rotation[row][column] + shift * depth[column];
    matrix[row][3] = -magnification * source[row] + shift * depth_offset;
  }
  matrix[2] = {depth[0], depth[1], depth[2], depth_offset};
  return matrix;
}

// Takes the next number off `text`; nothing where there is none, or it is not finite.
std::optional<double> take_number(std::string_view& text) {
  const auto is_space = [](char c) { return c == ' ' || (c >= '\t' && c <= '\r'); };
  while (!text.empty() && is_space(text.front())) text.remove_prefix(1);
  if (text.size() > 1 && text.front() == '+' && text[1] != '-') text.remove_prefix(1);
  double number = 0;
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (failure != std::errc{} || !std::isfinite(number)) return std::nullopt;
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  if (!text.empty() && !is_space(text.front())) return std::nullopt;
  while (!text.empty() && is_space(text.front())) text.remove_prefix(1);
  return number;
}

bool is_named(const pugi::xml_node& node, const char* name) { return strcasecmp(node.name(), name) == 0; }

// Walks the document in order. As in RTK, a value holds until another replaces it, and `</Projection>` adds a view.
class GeometryParser {
 public:
  GeometryParser(const std::filesystem::path& path, const pugi::xml_node& root) : path_(path), root_(root) {}

  CircularGeometry parse() {
    for (const pugi::xml_node& node : root_) {
      if (is_named(node, "Projection")) {
        parse_projection(node);
      } else {
        parse_parameter(node);
      }
    }
    if (geometry_.empty()) refuse("there is no <Projection>; add one for each view");
    return std::move(geometry_);
  }

 private:
  [[noreturn]] void refuse(const std::string& why) const {
    const std::string where = in_projection_ ? fmt::format("projection {} (counting from 0): ", geometry_.size()) : "";
    throw input_error(path_, where + why);
  }

  void parse_projection(const pugi::xml_node& projection) {
    in_projection_ = true;
    has_angle_ = false;
    pugi::xml_node matrix;
    for (const pugi::xml_node& node : projection) {
      if (is_named(node, "Matrix")) {
        matrix = node;
      } else {
        parse_parameter(node);
      }
    }
    if (!has_angle_) refuse("<GantryAngle> is missing; add it");
    if (!has_isocentre_) refuse("<SourceToIsocenterDistance> is missing; add it, here or for all projections");
    if (!geometry_.empty() && (view_.source_to_detector_mm == 0) != (geometry_[0].source_to_detector_mm == 0))
      refuse("parallel and divergent views are mixed; give <SourceToDetectorDistance> 0 to all views or to none");
    if (matrix) check_matrix(text_of(matrix));
    geometry_.push_back(view_);
    in_projection_ = false;
  }

  void parse_parameter(const pugi::xml_node& node) {
    if (is_named(node, "RadiusCylindricalDetector")) {
      if (number_of(node) != 0)
        refuse(
            "<RadiusCylindricalDetector> is not 0, and only flat detectors are supported; resample the projections to "
            "a "
            "flat detector and remove it");
      return;
    }
    const char* name = is_named(node, "Angle") ? "GantryAngle" : node.name();  // what version 2 called it
    for (const Parameter& parameter : parameters) {
      if (strcasecmp(name, parameter.name) != 0) continue;
      parameter.of(view_) = number_of(node);
      has_angle_ |= &parameter == &parameters[0];
      has_isocentre_ |= &parameter == &parameters[1];
      return;
    }
    if (node.type() != pugi::node_element) refuse("there is text outside the elements; remove it");
    refuse(fmt::format("the element <{:.60}> is not part of RTK's geometry; remove it", node.name()));
  }

  std::string_view text_of(const pugi::xml_node& node) const {
    const pugi::xml_node text = node.first_child();
    if (!text || text.type() != pugi::node_pcdata || text.next_sibling())
      refuse(fmt::format("<{:.60}> does not hold plain numbers; write them without markup", node.name()));
    return text.value();
  }

  double number_of(const pugi::xml_node& node) const {
    std::string_view text = text_of(node);
    if (text == largest_as_rtk_writes_it) return std::numeric_limits<double>::max();
    const std::string_view whole = text;
    const std::optional<double> number = take_number(text);
    if (!number || !text.empty())
      refuse(fmt::format("<{}> is \"{:.40}\", not a finite number; correct it", node.name(), whole));
    return *number;
  }

  void check_matrix(std::string_view text) const {
    const Matrix34 expected = projection_matrix(view_);
    for (std::size_t row = 0; row < 3; ++row) {
      for (std::size_t column = 0; column < 4; ++column) {
        const std::optional<double> number = take_number(text);
        if (!number) refuse("<Matrix> does not hold 12 finite numbers; correct it, or remove it");
        // Negated, so that an expected value that overflowed to infinity or NaN is refused too.
        if (!(std::abs(*number - expected[row][column]) <= matrix_tolerance))
          refuse(
              fmt::format("<Matrix> has {} in row {}, column {} where the parameters give {}; correct one of them, or "
                          "remove the matrix",
                          *number, row, column, expected[row][column]));
      }
    }
    if (!text.empty()) refuse("<Matrix> holds more than 12 numbers; correct it, or remove it");
  }

  const std::filesystem::path& path_;
  const pugi::xml_node root_;
  CircularView view_;  // the values that hold now
  CircularGeometry geometry_;
  bool in_projection_ = false, has_angle_ = false, has_isocentre_ = false;
};

std::string element(const char* indent, const Parameter& parameter, const CircularView& view) {
  // Adding 0 turns -0 into 0; "{}" writes the shortest text that reads back to the same bits.
  return fmt::format("{0}<{1}>{2}</{1}>\n", indent, parameter.name, value(parameter, view) + 0.0);
}

std::string to_xml(const CircularGeometry& geometry) {
  std::string xml = fmt::format("<?xml version=\"1.0\"?>\n<!DOCTYPE RTKGEOMETRY>\n<{} version=\"3\">\n", root_name);
  std::vector<const Parameter*> own{&parameters[0]};  // those that each projection states for itself
  for (const Parameter& parameter : std::span(parameters).subspan(1)) {
    const double first = value(parameter, geometry[0]);
    if (std::any_of(geometry.begin(), geometry.end(),
                    [&](const CircularView& view) { return value(parameter, view) != first; })) {
      own.push_back(&parameter);
    } else if (first != value(parameter, CircularView{})) {
      xml += element("  ", parameter, geometry[0]);
    }
  }
  for (const CircularView& view : geometry) {
    xml += "  <Projection>\n";
    for (const Parameter* parameter : own) xml += element("    ", *parameter, view);
    xml += "    <Matrix>\n";
    for (const auto& row : projection_matrix(view))
      xml += fmt::format("      {} {} {} {}\n", row[0] + 0.0, row[1] + 0.0, row[2] + 0.0, row[3] + 0.0);
    xml += "    </Matrix>\n  </Projection>\n";
  }
  return xml + fmt::format("</{}>\n", root_name);
}

}  // namespace

CircularGeometry read_rtk_xml(const std::filesystem::path& path) {
  const std::int64_t size = input_file_size(path);
  // The parsed tree of such a file takes about six times its text.
  require_memory(8 * size, fmt::format("{}: its {} bytes of XML", path.string(), size));
  const std::string text = read_bytes(path, 0, size);
  pugi::xml_document document;
  // Without parse_doctype a DOCTYPE is skipped: no entity is ever defined or fetched.
  const pugi::xml_parse_result parsed = document.load_buffer(text.data(), text.size());
  if (!parsed) {
    const auto end = text.begin() + std::clamp<std::ptrdiff_t>(parsed.offset, 0, std::ssize(text));
    throw input_error(path, fmt::format("broken or truncated XML at line {} ({}); write it again",
                                        1 + std::count(text.begin(), end, '\n'), parsed.description()));
  }
  const pugi::xml_node root = document.document_element();
  if (!is_named(root, root_name))
    throw input_error(path, fmt::format("is not RTK's geometry, it begins with <{:.60}> where <{}> belongs; name "
                                        "the geometry file",
                                        root.name(), root_name));
  const std::string_view version = root.attribute("version").value();
  if (version != "2" && version != "3")
    throw input_error(path, fmt::format("the geometry has version \"{:.20}\", and 2 or 3 can be read; write it "
                                        "again with a current RTK",
                                        version));
  return GeometryParser(path, root).parse();
}

void write_rtk_xml(const std::filesystem::path& path, const CircularGeometry& geometry) {
  if (geometry.empty())
    throw Error(ErrorCode::input, path.string() + ": a geometry without views cannot be written; add views");
  for (std::size_t view = 0; view < geometry.size(); ++view) {
    for (const Parameter& parameter : parameters) {
      if (!std::isfinite(value(parameter, geometry[view])))
        throw Error(ErrorCode::input, fmt::format("{}: view {} (counting from 0): {} is not finite; correct it",
                                                  path.string(), view, parameter.name));
    }
  }
  const std::string xml = to_xml(geometry);
  OutputFile output(path);
  errno = 0;
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(output.temporary_path().c_str(), "wb"),
                                                             &std::fclose);
  if (!file || std::fwrite(xml.data(), 1, xml.size(), file.get()) != xml.size() || std::fflush(file.get()) != 0)
    throw write_error(path, errno);
  output.commit();
}

}  // namespace kiban::io
