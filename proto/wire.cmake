# The wire: C++ from proto/google and proto/interlock into the build tree, library `interlock_wire`.
set(WIRE_OUT ${CMAKE_CURRENT_BINARY_DIR}/wire)
file(MAKE_DIRECTORY ${WIRE_OUT})
find_program(INTERLOCK_GRPC_PLUGIN grpc_cpp_plugin REQUIRED)

set(WIRE_MESSAGES
  google/api/field_behavior google/api/field_info google/api/resource
  google/rpc/error_details google/rpc/status
  interlock/v1/approval_service interlock/v1/audit_service interlock/v1/budget_service
  interlock/v1/call_service interlock/v1/common interlock/v1/policy_service interlock/v1/rollout_service interlock/v1/run_service interlock/v1/switch_service
  interlock/v1/tool_service)

set(WIRE_SOURCES)
foreach(name ${WIRE_MESSAGES})
  set(outputs ${WIRE_OUT}/${name}.pb.cc ${WIRE_OUT}/${name}.pb.h)
  set(flags --cpp_out=${WIRE_OUT})
  if(name MATCHES "_service$")
    list(APPEND outputs ${WIRE_OUT}/${name}.grpc.pb.cc ${WIRE_OUT}/${name}.grpc.pb.h)
    list(APPEND flags --grpc_out=${WIRE_OUT} --plugin=protoc-gen-grpc=${INTERLOCK_GRPC_PLUGIN})
  endif()
  add_custom_command(
    OUTPUT ${outputs}
    COMMAND protobuf::protoc ${flags} -I ${CMAKE_CURRENT_SOURCE_DIR} ${name}.proto
    DEPENDS ${name}.proto
    COMMENT "Generating ${name}"
    VERBATIM)
  list(APPEND WIRE_SOURCES ${outputs})
endforeach()

add_library(interlock_wire STATIC ${WIRE_SOURCES})
target_include_directories(interlock_wire SYSTEM PUBLIC ${WIRE_OUT})
target_link_libraries(interlock_wire PUBLIC protobuf::libprotobuf gRPC::grpc++)
# Generated code is not ours to keep warning free.
target_compile_options(interlock_wire PRIVATE -w)
target_precompile_headers(interlock_wire PRIVATE <grpcpp/grpcpp.h> <google/protobuf/message.h>)
