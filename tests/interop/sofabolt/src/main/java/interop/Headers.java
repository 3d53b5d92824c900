package interop;

import com.alipay.remoting.DefaultCustomSerializer;
import com.alipay.remoting.InvokeContext;
import com.alipay.remoting.exception.CodecException;
import com.alipay.remoting.exception.DeserializationException;
import com.alipay.remoting.exception.SerializationException;
import com.alipay.remoting.rpc.RequestCommand;
import com.alipay.remoting.rpc.ResponseCommand;
import com.alipay.remoting.rpc.protocol.RpcRequestCommand;
import com.alipay.remoting.rpc.protocol.RpcResponseCommand;
import com.alipay.remoting.serialization.SerializerManager;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.LinkedHashMap;
import java.util.Map;

/** The header block as SOFARPC writes it, pairs of text with their lengths, on both frames; the content stays hessian. */
public class Headers extends DefaultCustomSerializer {
    /** Key of the invoke context: the headers of the request, a Map. */
    public static final String KEY = "headers";

    static byte[] encode(Map<String, String> headers) {
        ByteBuffer out = ByteBuffer.allocate(Short.MAX_VALUE);
        for (Map.Entry<String, String> entry : headers.entrySet()) {
            put(out, entry.getKey());
            put(out, entry.getValue());
        }
        byte[] block = new byte[out.position()];
        out.flip();
        out.get(block);
        return block;
    }

    private static void put(ByteBuffer out, String text) {
        if (text == null) {
            out.putInt(-1);
            return;
        }
        byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
        out.putInt(bytes.length);
        out.put(bytes);
    }

    static Map<String, String> decode(byte[] block) {
        Map<String, String> headers = new LinkedHashMap<>();
        if (block == null) {
            return headers;
        }
        ByteBuffer in = ByteBuffer.wrap(block);
        while (in.hasRemaining()) {
            String name = take(in);
            headers.put(name, take(in));
        }
        return headers;
    }

    private static String take(ByteBuffer in) {
        int length = in.getInt();
        if (length == -1) {
            return null;
        }
        byte[] bytes = new byte[length];
        in.get(bytes);
        return new String(bytes, StandardCharsets.UTF_8);
    }

    /** One line of text: name=value;name=value. */
    static String show(Map<String, String> headers) {
        StringBuilder out = new StringBuilder();
        for (Map.Entry<String, String> entry : headers.entrySet()) {
            out.append(out.length() == 0 ? "" : ";").append(entry.getKey()).append('=').append(entry.getValue());
        }
        return out.toString();
    }

    private static <T> T read(byte serializer, byte[] content, String className) throws DeserializationException {
        try {
            return SerializerManager.getSerializer(serializer).deserialize(content, className);
        } catch (DeserializationException error) {
            throw error;
        } catch (CodecException error) {
            throw new DeserializationException(error.getMessage(), error);
        }
    }

    @Override
    public <T extends RequestCommand> boolean serializeHeader(T request, InvokeContext context) throws SerializationException {
        Map<String, String> headers = context == null ? null : context.get(KEY);
        if (headers != null) {
            request.setHeader(encode(headers));
        }
        return headers != null;
    }

    @Override
    public <T extends RequestCommand> boolean deserializeContent(T request) throws DeserializationException {
        RpcRequestCommand command = (RpcRequestCommand) request;
        Ask ask = read(command.getSerializer(), command.getContent(), command.getRequestClass());
        ask.headers = decode(command.getHeader());
        command.setRequestObject(ask);
        return true;
    }

    @Override
    public <T extends ResponseCommand> boolean serializeHeader(T response) throws SerializationException {
        Map<String, String> headers = new LinkedHashMap<>();
        headers.put("served-by", "java");
        response.setHeader(encode(headers));
        return true;
    }

    @Override
    public <T extends ResponseCommand> boolean deserializeContent(T response, InvokeContext context) throws DeserializationException {
        RpcResponseCommand command = (RpcResponseCommand) response;
        Answer answer = read(command.getSerializer(), command.getContent(), command.getResponseClass());
        answer.headers = show(decode(command.getHeader()));
        command.setResponseObject(answer);
        return true;
    }
}
