# Run by CTest: cmake -D BUILD=… -D SOURCE=… -D VERSION=… -D WORK=… -D COMPILER=… -D SANITIZE=… -P install_test.cmake
function(step what)
  execute_process(COMMAND ${ARGN} RESULT_VARIABLE result OUTPUT_VARIABLE output ERROR_VARIABLE output)
  if(NOT result EQUAL 0)
    message(FATAL_ERROR "${what} failed (${result}):\n${output}")
  endif()
  set(output "${output}" PARENT_SCOPE)
endfunction()

file(REMOVE_RECURSE ${WORK}/first ${WORK}/moved ${WORK}/consumer)
unset(ENV{LD_LIBRARY_PATH})
step("Installing" ${CMAKE_COMMAND} --install ${BUILD} --prefix ${WORK}/first)
file(RENAME ${WORK}/first ${WORK}/moved)

step("The installed kiban" ${WORK}/moved/bin/kiban version)
if(NOT output MATCHES "${VERSION}")
  message(FATAL_ERROR "kiban version says '${output}', not ${VERSION}")
endif()

# Nothing that another project reads may name the folders where this was built.
file(GLOB_RECURSE pages ${WORK}/moved/*.cmake ${WORK}/moved/*.hpp)
foreach(page ${pages})
  file(READ ${page} text)
  foreach(folder ${BUILD} ${SOURCE} ${WORK})
    string(FIND "${text}" "${folder}/" position)
    if(NOT position EQUAL -1)
      message(FATAL_ERROR "${page} names ${folder}: the install cannot be moved")
    endif()
  endforeach()
endforeach()

# The consumer includes every installed header, so that one which needs a header that stays behind is found here.
file(GLOB_RECURSE headers RELATIVE ${WORK}/moved/include/kiban ${WORK}/moved/include/kiban/*.hpp)
set(all "")
foreach(header ${headers})
  string(APPEND all "#include \"${header}\"\n")
endforeach()
file(WRITE ${WORK}/consumer/every_header.hpp "${all}")

set(flags "")
if(SANITIZE)
  set(flags -fsanitize=${SANITIZE})
endif()
step("Configuring the consumer" ${CMAKE_COMMAND} -S ${CMAKE_CURRENT_LIST_DIR}/consumer -B ${WORK}/consumer -G Ninja
  -D CMAKE_PREFIX_PATH=${WORK}/moved -D CMAKE_CXX_COMPILER=${COMPILER} -D CMAKE_CXX_FLAGS=${flags}
  -D CMAKE_BUILD_TYPE=Debug)
step("Building the consumer" ${CMAKE_COMMAND} --build ${WORK}/consumer)
step("The consumer" ${WORK}/consumer/consumer)
message("${output}")
if(NOT output MATCHES "ct.fdk")
  message(FATAL_ERROR "the consumer did not list ct.fdk")
endif()
