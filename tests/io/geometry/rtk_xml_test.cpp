#include "io/geometry/rtk_xml.hpp"

#include <gtest/gtest.h>

#include <limits>
#include <regex>

#include "tests/io/scratch.hpp"

namespace kiban::io {
namespace {

using test::expect_input_error;
using test::Scratch;
using Words = std::vector<std::string>;

constexpr double open_jaw = std::numeric_limits<double>::max();

std::string document(const std::string& content, const std::string& version = "3") {
  return "<?xml version=\"1.0\"?>\n<!DOCTYPE RTKGEOMETRY>\n<RTKThreeDCircularGeometry version=\"" + version + "\">\n" +
         content + "</RTKThreeDCircularGeometry>\n";
}

CircularGeometry read(const std::string& xml) {
  const Scratch scratch;
  return read_rtk_xml(scratch.write("g.xml", xml));
}

void expect_refused(const std::string& xml, Words words) {
  SCOPED_TRACE(xml.substr(0, 300));
  words.push_back("g.xml");
  expect_input_error([&] { read(xml); }, words);
}

// The matrices are those that RTK 2.7 wrote for these parameters.
const char* const tilted =
    "<Projection><GantryAngle>10.5</GantryAngle><SourceToIsocenterDistance>1000.5</SourceToIsocenterDistance>"
    "<SourceToDetectorDistance>1536.25</SourceToDetectorDistance><ProjectionOffsetX>-117.25</ProjectionOffsetX>"
    "<ProjectionOffsetY>3.5</ProjectionOffsetY><InPlaneAngle>357.25</InPlaneAngle><OutOfPlaneAngle>1.25</"
    "OutOfPlaneAngle>"
    "<SourceOffsetX>20.5</SourceOffsetX><SourceOffsetY>-15.125</SourceOffsetY>"
    "<CollimationUInf>100</CollimationUInf><CollimationVSup>95.25</CollimationVSup>"
    "<Matrix>-1483.39582463017 70.6838594001805 416.629025021135 -106325.75\n"
    "-81.9657556955339 -1533.70936661891 -37.7908290949781 -4601.46875\n"
    "0.182192158372002 -0.0218148850345611 0.983020919522408 -1000.5</Matrix></Projection>";

CircularView tilted_view() {
  CircularView view;
  view.gantry_angle_deg = 10.5;
  view.source_to_isocentre_mm = 1000.5;
  view.source_to_detector_mm = 1536.25;
  view.projection_offset_x_mm = -117.25;
  view.projection_offset_y_mm = 3.5;
  view.in_plane_angle_deg = 357.25;
  view.out_of_plane_angle_deg = 1.25;
  view.source_offset_x_mm = 20.5;
  view.source_offset_y_mm = -15.125;
  view.collimation.u_inf_mm = 100;
  view.collimation.v_sup_mm = 95.25;
  return view;
}

const std::string sid = "<SourceToIsocenterDistance>1000</SourceToIsocenterDistance>";
const std::string sdd = "<SourceToDetectorDistance>1500</SourceToDetectorDistance>";
const std::string view = "<Projection><GantryAngle>0</GantryAngle></Projection>";

TEST(ReadRtkXml, AgreesWithRtkOnParametersAndMatrix) {
  const CircularGeometry geometry = read(document(tilted));
  ASSERT_EQ(geometry.size(), 1u);
  EXPECT_EQ(geometry[0], tilted_view());
}

// As in RTK: what holds for all comes first, a projection may replace it, and what it set holds for those behind it.
TEST(ReadRtkXml, ValuesHoldUntilReplaced) {
  const CircularGeometry geometry =
      read(document(sid + sdd + "<ProjectionOffsetX>7</ProjectionOffsetX>" + view +
                    "<Projection><GantryAngle>1</GantryAngle><ProjectionOffsetX>8</ProjectionOffsetX></Projection>"
                    "<Projection><Angle>2</Angle></Projection><CollimationUInf>9</CollimationUInf>" +
                    view));
  ASSERT_EQ(geometry.size(), 4u);
  const double offsets[4] = {7, 8, 8, 8}, angles[4] = {0, 1, 2, 0};
  for (std::size_t i = 0; i < 4; ++i) {
    EXPECT_EQ(geometry[i].source_to_isocentre_mm, 1000);
    EXPECT_EQ(geometry[i].source_to_detector_mm, 1500);
    EXPECT_EQ(geometry[i].projection_offset_x_mm, offsets[i]);
    EXPECT_EQ(geometry[i].gantry_angle_deg, angles[i]);
    EXPECT_EQ(geometry[i].collimation.u_inf_mm, i == 3 ? 9 : open_jaw);
  }
}

TEST(ReadRtkXml, TakesWhatRtkTakes) {
  EXPECT_EQ(read(document(sid + view, "2")).size(), 1u);
  EXPECT_EQ(read(document(sid + view))[0].source_to_detector_mm, 0) << "no distance: parallel rays";
  EXPECT_EQ(read(document(sid + "<RadiusCylindricalDetector>0</RadiusCylindricalDetector>" + view)).size(), 1u);
  EXPECT_EQ(read(document(sid + "<!-- a note -->" + view)).size(), 1u);
  EXPECT_EQ(
      read(document("<sourcetoisocenterdistance> +1e3\n</sourcetoisocenterdistance>" + view))[0].source_to_isocentre_mm,
      1000);
  EXPECT_EQ(
      read(document(sid + "<CollimationVInf>1.79769313486232e+308</CollimationVInf>" + view))[0].collimation.v_inf_mm,
      open_jaw);
}

TEST(ReadRtkXml, RefusesWhatCannotBe) {
  const auto projection = [](const std::string& content) {
    return document(sid + "<Projection>" + content + "</Projection>");
  };
  expect_refused("", {"empty"});
  expect_refused("hello", {"XML", "line 1"});
  expect_refused(document(tilted).substr(0, 500), {"truncated XML"});
  expect_refused(document(tilted).substr(0, document(tilted).size() - 5), {"truncated XML"});
  expect_refused("<a/>", {"<a>", "RTKThreeDCircularGeometry"});
  expect_refused(document(sid + view, "1"), {"version \"1\""});
  expect_refused(document(sid + view, "4"), {"version \"4\""});
  expect_refused("<RTKThreeDCircularGeometry>" + sid + view + "</RTKThreeDCircularGeometry>", {"version \"\""});
  expect_refused(document(sid), {"no <Projection>"});
  expect_refused(document(view), {"projection 0", "SourceToIsocenterDistance"});
  expect_refused(document(sid + view + "<Projection></Projection>"), {"projection 1", "GantryAngle"});
  expect_refused(document(sid + "<Matrices>1</Matrices>" + view), {"<Matrices>"});
  expect_refused(document(sid + "<Matrix>1</Matrix>" + view), {"<Matrix>"});
  expect_refused(document(sid + "stray" + view), {"text outside"});
  expect_refused(document(sid + "<RadiusCylindricalDetector>1500</RadiusCylindricalDetector>" + view),
                 {"RadiusCylindricalDetector", "flat"});
  expect_refused(document(sid + view + "<Projection>" + sdd + "<GantryAngle>1</GantryAngle></Projection>"),
                 {"projection 1", "parallel and divergent"});
  for (const char* number : {"nan", "inf", "1e999", "", "ten", "1 2", "1,5", "0x10", "te\nn", "\x1b[31m\xff", "&ten;",
                             "1<b/>", "--1", "+-1"})
    expect_refused(projection("<GantryAngle>" + std::string(number) + "</GantryAngle>"),
                   {"projection 0", "<GantryAngle>"});
}

TEST(ReadRtkXml, ComparesTheMatrix) {
  const auto changed = [](const std::string& from, const std::string& to) {
    return document(std::regex_replace(std::string(tilted), std::regex(from), to));
  };
  EXPECT_EQ(read(changed("-106325.75", "-106325.7505")).size(), 1u);
  expect_refused(changed("-106325.75", "-106325.752"), {"projection 0", "<Matrix>", "row 0, column 3", "-106325.752"});
  expect_refused(changed("0.983020919522408", "-0.983020919522408"), {"row 2, column 2"});
  expect_refused(changed("-1000.5</Matrix>", "</Matrix>"), {"12 finite numbers"});
  expect_refused(changed("-1000.5</Matrix>", "-1000.5 1</Matrix>"), {"more than 12"});
  expect_refused(changed("-1000.5</Matrix>", "nan</Matrix>"), {"12 finite numbers"});
  expect_refused(changed("<SourceOffsetX>20.5", "<SourceOffsetX>21.5"), {"<Matrix>"});
  expect_refused(changed("<SourceToDetectorDistance>1536.25", "<SourceToDetectorDistance>1e308"), {"<Matrix>"});
}

// Entities are neither defined nor fetched: a billion laughs stay the text they are.
TEST(ReadRtkXml, IgnoresTheDoctype) {
  const std::string laughs = "<!DOCTYPE a [<!ENTITY b \"10\"><!ENTITY c SYSTEM \"file:///etc/passwd\">]>";
  const std::string body = "<RTKThreeDCircularGeometry version=\"3\">" + sid + "<Projection><GantryAngle>";
  expect_refused(laughs + body + "&b;</GantryAngle></Projection></RTKThreeDCircularGeometry>",
                 {"&b;", "finite number"});
  expect_refused(laughs + body + "&c;</GantryAngle></Projection></RTKThreeDCircularGeometry>",
                 {"&c;", "finite number"});
}

CircularGeometry awkward_geometry() {
  CircularGeometry geometry(5, tilted_view());
  for (std::size_t i = 0; i < geometry.size(); ++i) {
    geometry[i].gantry_angle_deg = 360.0 / 7 * static_cast<double>(i) - 100;
    geometry[i].projection_offset_x_mm = 1.0 / 3 - static_cast<double>(i);
    geometry[i].in_plane_angle_deg = 1e-300;
  }
  geometry[3].source_offset_y_mm = 0;
  geometry[4].collimation.v_sup_mm = open_jaw;
  return geometry;
}

TEST(WriteRtkXml, ReadsBackToTheSameBits) {
  const Scratch scratch;
  const CircularGeometry geometry = awkward_geometry();
  write_rtk_xml(scratch / "g.xml", geometry);
  EXPECT_EQ(read_rtk_xml(scratch / "g.xml"), geometry);
  EXPECT_EQ(scratch.names(), Words{"g.xml"});
}

TEST(WriteRtkXml, StatesSharedValuesOnceAndDefaultsNever) {
  const Scratch scratch;
  CircularGeometry geometry(3);
  for (CircularView& v : geometry) {
    v.source_to_isocentre_mm = 600;
    v.source_to_detector_mm = 1200;
  }
  write_rtk_xml(scratch / "g.xml", geometry);
  const std::string xml = test::content_of(scratch / "g.xml");
  const auto count = [&](const std::string& word) {
    const std::regex pattern(word);
    return std::distance(std::sregex_iterator(xml.begin(), xml.end(), pattern), std::sregex_iterator());
  };
  EXPECT_EQ(count("<SourceToIsocenterDistance>600</"), 1);
  EXPECT_EQ(count("<SourceToDetectorDistance>1200</"), 1);
  EXPECT_EQ(count("<GantryAngle>"), 3);
  EXPECT_EQ(count("<Matrix>"), 3);
  EXPECT_EQ(count("Offset|Collimation|Plane|Radius"), 0);
}

TEST(WriteRtkXml, ParallelMatrixHasNoDepth) {
  const Scratch scratch;
  CircularGeometry geometry(1);
  geometry[0].source_to_isocentre_mm = 1000;
  geometry[0].projection_offset_x_mm = 12;
  geometry[0].source_offset_x_mm = 5;  // does not matter to parallel rays
  write_rtk_xml(scratch / "g.xml", geometry);
  const std::string xml = test::content_of(scratch / "g.xml");
  EXPECT_TRUE(std::regex_search(xml, std::regex("1 0 0 -12\\s+0 1 0 0\\s+0 0 0 1\\s"))) << xml;
  EXPECT_EQ(read_rtk_xml(scratch / "g.xml"), geometry);
}

TEST(WriteRtkXml, RefusesWhatCannotBe) {
  const Scratch scratch;
  CircularGeometry geometry = awkward_geometry();
  expect_input_error([&] { write_rtk_xml(scratch / "g.xml", {}); }, {"g.xml", "views"});
  expect_input_error([&] { write_rtk_xml(scratch / "missing/g.xml", geometry); }, {"missing/g.xml", "does not exist"});
  geometry[2].source_offset_x_mm = std::numeric_limits<double>::quiet_NaN();
  expect_input_error([&] { write_rtk_xml(scratch / "g.xml", geometry); }, {"g.xml", "view 2", "SourceOffsetX"});
  EXPECT_TRUE(scratch.names().empty());
}

}  // namespace
}  // namespace kiban::io
