// protobuf_schema.cc: see protobuf_schema.h. The only file in C++: libprotobuf, which parses .proto text and resolves names, has no
// other interface, and its C relatives either have no schemas at run time (protobuf-c) or are not packaged with them (upb).
#include "protocol/format/protobuf_schema.h"

#include <google/protobuf/any.pb.h>
#include <google/protobuf/compiler/parser.h>
#include <google/protobuf/descriptor.h>
#include <google/protobuf/descriptor.pb.h>
#include <google/protobuf/descriptor_database.h>
#include <google/protobuf/duration.pb.h>
#include <google/protobuf/empty.pb.h>
#include <google/protobuf/field_mask.pb.h>
#include <google/protobuf/io/tokenizer.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>
#include <google/protobuf/struct.pb.h>
#include <google/protobuf/stubs/logging.h>
#include <google/protobuf/timestamp.pb.h>
#include <google/protobuf/wrappers.pb.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <map>
#include <new>
#include <string>

namespace pb = google::protobuf;

namespace {

// What Confluent's and Google's own clients know without being told.
struct builtin_file {
    const char *path, *text;
};
const builtin_file builtins[] = {
    {"confluent/meta.proto",
     "syntax = 'proto3'; package confluent; import 'google/protobuf/descriptor.proto';"
     "message Meta { string doc = 1; map<string, string> params = 2; repeated string tags = 3; }"
     "extend google.protobuf.FileOptions { Meta file_meta = 1088; }"
     "extend google.protobuf.MessageOptions { Meta message_meta = 1088; }"
     "extend google.protobuf.FieldOptions { Meta field_meta = 1088; }"
     "extend google.protobuf.EnumOptions { Meta enum_meta = 1088; }"
     "extend google.protobuf.EnumValueOptions { Meta enum_value_meta = 1088; }"},
    {"confluent/type/decimal.proto",
     "syntax = 'proto3'; package confluent.type;"
     "message Decimal { bytes value = 1; uint32 precision = 2; int32 scale = 3; }"},
    {"google/type/date.proto",
     "syntax = 'proto3'; package google.type; message Date { int32 year = 1; int32 month = 2; int32 day = 3; }"},
};

struct collector : pb::io::ErrorCollector, pb::DescriptorPool::ErrorCollector {
    std::string problem;
    void AddError(int line, int column, const std::string &message) override
    {
        if (problem.empty())
            problem = "line " + std::to_string(line + 1) + ": " + message;
    }
    void AddError(const std::string &, const std::string &element, const pb::Message *, ErrorLocation,
                  const std::string &message) override
    {
        if (problem.empty())
            problem = element + ": " + message;
    }
};

struct database : pb::DescriptorDatabase {
    const proto_schema *schema;
    pb::FileDescriptorSet set;
    collector *errors;

    bool parse(const char *path, const char *text, pb::FileDescriptorProto *out)
    {
        pb::io::ArrayInputStream stream(text, (int)strlen(text));
        pb::io::Tokenizer tokenizer(&stream, errors);
        pb::compiler::Parser parser;
        parser.RecordErrorsTo(errors);
        out->Clear();
        bool ok = parser.Parse(&tokenizer, out);
        out->set_name(path);
        if (!out->has_syntax())
            out->set_syntax("proto2");
        return ok && errors->problem.empty();
    }

    bool FindFileByName(const std::string &name, pb::FileDescriptorProto *out) override
    {
        for (uint32_t i = 0; i < schema->sources_count; i++) {
            if (name == schema->sources[i].path)
                return parse(schema->sources[i].path, schema->sources[i].text, out);
        }
        for (const auto &file : set.file()) {
            if (file.name() == name) {
                *out = file;
                return true;
            }
        }
        for (const auto &file : builtins) {
            if (name == file.path)
                return parse(file.path, file.text, out);
        }
        const pb::FileDescriptor *known = pb::DescriptorPool::generated_pool()->FindFileByName(name);
        if (known == nullptr)
            return false;
        known->CopyTo(out);
        return true;
    }
    bool FindFileContainingSymbol(const std::string &, pb::FileDescriptorProto *) override
    {
        return false;
    }
    bool FindFileContainingExtension(const std::string &, int, pb::FileDescriptorProto *) override
    {
        return false;
    }
};

struct builder {
    void *(*alloc)(void *ctx, size_t bytes);
    void *ctx;
    std::map<const pb::Descriptor *, proto_message *> messages;
    std::map<const pb::EnumDescriptor *, proto_enum *> enums;

    template <typename T> T *make(size_t count)
    {
        T *memory = (T *)alloc(ctx, sizeof(T) * (count > 0 ? count : 1));
        memset((void *)memory, 0, sizeof(T) * (count > 0 ? count : 1));
        return memory;
    }
    const char *text(const std::string &from)
    {
        char *copy = make<char>(from.size() + 1);
        memcpy(copy, from.data(), from.size());
        return copy;
    }

    proto_enum *enumeration(const pb::EnumDescriptor *from)
    {
        proto_enum *&known = enums[from];
        if (known != nullptr)
            return known;
        std::map<int32_t, std::string> values; // of aliases the first name counts
        for (int i = 0; i < from->value_count(); i++)
            values.emplace(from->value(i)->number(), from->value(i)->name());
        proto_enum *made = known = make<proto_enum>(1);
        made->numbers = make<int32_t>(values.size());
        made->names = make<const char *>(values.size());
        for (const auto &value : values) {
            made->numbers[made->count] = value.first;
            made->names[made->count++] = text(value.second);
        }
        return made;
    }

    void set_default(const pb::FieldDescriptor *from, proto_field *to)
    {
        to->has_default = from->has_default_value();
        to->default_bytes = "";
        switch (from->cpp_type()) {
        case pb::FieldDescriptor::CPPTYPE_INT32:
            to->default_number = from->default_value_int32();
            break;
        case pb::FieldDescriptor::CPPTYPE_INT64:
            to->default_number = from->default_value_int64();
            break;
        case pb::FieldDescriptor::CPPTYPE_UINT32:
            to->default_number = from->default_value_uint32();
            break;
        case pb::FieldDescriptor::CPPTYPE_UINT64:
            to->default_number = (int64_t)from->default_value_uint64();
            break;
        case pb::FieldDescriptor::CPPTYPE_BOOL:
            to->default_number = from->default_value_bool();
            break;
        case pb::FieldDescriptor::CPPTYPE_FLOAT:
            to->default_float = from->default_value_float();
            break;
        case pb::FieldDescriptor::CPPTYPE_DOUBLE:
            to->default_float = from->default_value_double();
            break;
        case pb::FieldDescriptor::CPPTYPE_ENUM:
            to->default_number = from->default_value_enum()->number();
            break;
        case pb::FieldDescriptor::CPPTYPE_STRING:
            to->default_bytes = text(from->default_value_string());
            to->default_len = from->default_value_string().size();
            break;
        case pb::FieldDescriptor::CPPTYPE_MESSAGE:
            break;
        }
    }

    static proto_known known_of(const std::string &name)
    {
        static const std::map<std::string, proto_known> rows = {
            {"google.protobuf.Timestamp", PROTO_TIMESTAMP},  {"google.protobuf.Duration", PROTO_DURATION},
            {"google.protobuf.DoubleValue", PROTO_WRAPPER},  {"google.protobuf.FloatValue", PROTO_WRAPPER},
            {"google.protobuf.Int64Value", PROTO_WRAPPER},   {"google.protobuf.UInt64Value", PROTO_WRAPPER},
            {"google.protobuf.Int32Value", PROTO_WRAPPER},   {"google.protobuf.UInt32Value", PROTO_WRAPPER},
            {"google.protobuf.BoolValue", PROTO_WRAPPER},    {"google.protobuf.StringValue", PROTO_WRAPPER},
            {"google.protobuf.BytesValue", PROTO_WRAPPER},   {"google.protobuf.Struct", PROTO_STRUCT},
            {"google.protobuf.Value", PROTO_VALUE},          {"google.protobuf.ListValue", PROTO_LIST_VALUE},
            {"google.type.Date", PROTO_DATE},                {"confluent.type.Decimal", PROTO_DECIMAL},
        };
        auto row = rows.find(name);
        return row != rows.end() ? row->second : PROTO_ORDINARY;
    }

    proto_message *message(const pb::Descriptor *from)
    {
        proto_message *&known = messages[from];
        if (known != nullptr)
            return known;
        proto_message *made = known = make<proto_message>(1);
        made->name = text(from->full_name());
        made->known = known_of(from->full_name());
        made->count = (uint32_t)from->field_count();
        made->fields = make<proto_field>(made->count);
        for (const pb::Descriptor *at = from; at != nullptr; at = at->containing_type())
            made->indexes_count++;
        made->indexes = make<int32_t>(made->indexes_count);
        uint32_t place = made->indexes_count;
        for (const pb::Descriptor *at = from; at != nullptr; at = at->containing_type())
            made->indexes[--place] = at->index();
        for (uint32_t i = 0; i < made->count; i++) {
            const pb::FieldDescriptor *field = from->field((int)i);
            proto_field *to = &made->fields[i];
            to->name = text(field->name());
            to->number = (uint32_t)field->number();
            to->kind = (proto_kind)field->type();
            to->is_repeated = field->is_repeated();
            to->is_map = field->is_map();
            to->is_packed = field->is_packed();
            to->has_presence = field->has_presence();
            const pb::OneofDescriptor *oneof = field->real_containing_oneof();
            to->oneof = oneof != nullptr ? oneof->index() : -1;
            if (!to->is_repeated)
                set_default(field, to);
            if (field->enum_type() != nullptr)
                to->enumeration = enumeration(field->enum_type());
            if (field->message_type() != nullptr)
                to->message = message(field->message_type());
        }
        return made;
    }
};

const pb::Descriptor *find_message(const pb::FileDescriptor *file, const pb::DescriptorPool &pool,
                                   const proto_schema *schema, std::string *problem)
{
    if (schema->message != nullptr) {
        const pb::Descriptor *found = pool.FindMessageTypeByName(schema->message);
        if (found == nullptr && !file->package().empty())
            found = pool.FindMessageTypeByName(file->package() + "." + schema->message);
        if (found == nullptr)
            *problem = "it has no message \"" + std::string(schema->message) + "\"";
        return found;
    }
    const pb::Descriptor *at = nullptr;
    int32_t first = 0;
    const int32_t *indexes = schema->indexes_count > 0 ? schema->indexes : &first;
    for (uint32_t i = 0; i < (schema->indexes_count > 0 ? schema->indexes_count : 1); i++) {
        int count = at == nullptr ? file->message_type_count() : at->nested_type_count();
        if (indexes[i] < 0 || indexes[i] >= count) {
            *problem = "it has no message of that index";
            return nullptr;
        }
        at = at == nullptr ? file->message_type(indexes[i]) : at->nested_type(indexes[i]);
    }
    return at;
}

bool build(const proto_schema *schema, builder *builder, proto_message **out, std::string *problem)
{
    // what a file may import without naming a source must be linked in
    pb::Timestamp::descriptor();
    pb::Duration::descriptor();
    pb::Struct::descriptor();
    pb::Any::descriptor();
    pb::Empty::descriptor();
    pb::FieldMask::descriptor();
    pb::StringValue::descriptor();
    collector errors;
    database files;
    files.schema = schema;
    files.errors = &errors;
    std::string path;
    if (schema->sources_count > 0) {
        path = schema->sources[0].path;
    } else {
        if (!files.set.ParseFromArray(schema->descriptors, (int)schema->descriptors_len) ||
            files.set.file_size() == 0) {
            *problem = "it is no FileDescriptorSet";
            return false;
        }
        path = files.set.file(files.set.file_size() - 1).name();
    }
    pb::DescriptorPool pool(&files, &errors);
    for (const auto &file : files.set.file())
        pool.FindFileByName(file.name()); // so that messages of all of them are found by name
    const pb::FileDescriptor *file = pool.FindFileByName(path);
    if (file == nullptr) {
        *problem = errors.problem.empty() ? "an import of it is not there" : errors.problem;
        return false;
    }
    const pb::Descriptor *message = find_message(file, pool, schema, problem);
    if (message == nullptr)
        return false;
    *out = builder->message(message);
    return true;
}

} // namespace

extern "C" bool proto_schema_build(const struct proto_schema *schema, void *(*alloc)(void *ctx, size_t bytes),
                                   void *ctx, struct proto_message **out, char *problem, size_t problem_cap)
{
    pb::LogSilencer quiet; // it warns of schemas without a syntax, on stderr
    std::string words;
    bool ok = false;
    try {
        builder maker{alloc, ctx, {}, {}};
        ok = build(schema, &maker, out, &words);
    } catch (const std::exception &failure) {
        words = failure.what();
    }
    if (!ok)
        snprintf(problem, problem_cap, "%s", words.c_str());
    return ok;
}
