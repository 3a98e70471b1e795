//! Messages as frames on a socket: four bytes of length, big end first, and JSON.

use std::io::{self, ErrorKind};

use serde::{Serialize, de::DeserializeOwned};
use tokio::io::{AsyncRead, AsyncReadExt};

use super::protocol::FRAME_BYTES_MAX;

/// A message as a frame.
pub(super) fn encode(message: &impl Serialize) -> io::Result<Vec<u8>> {
    let mut frame = vec![0; 4];
    serde_json::to_writer(&mut frame, message)?;
    let size = frame.len() - 4;
    let head = u32::try_from(size).ok().filter(|_| size <= FRAME_BYTES_MAX);
    let Some(head) = head else {
        let text = format!("a message of {size} bytes; at most {FRAME_BYTES_MAX} can be sent");
        return Err(io::Error::new(ErrorKind::InvalidInput, text));
    };
    frame[..4].copy_from_slice(&head.to_be_bytes());
    Ok(frame)
}

/// The next message; none at the end of the stream.
pub(super) async fn read<T: DeserializeOwned>(
    from: &mut (impl AsyncRead + Unpin),
) -> io::Result<Option<T>> {
    let mut head = [0; 4];
    match from.read_exact(&mut head).await {
        Ok(_) => {}
        // Who ends while something is on its way to it resets the connection.
        Err(error)
            if matches!(error.kind(), ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset) =>
        {
            return Ok(None);
        }
        Err(error) => return Err(error),
    }
    let size = u32::from_be_bytes(head) as usize;
    if size > FRAME_BYTES_MAX {
        let text = format!("a message of {size} bytes; at most {FRAME_BYTES_MAX} are read");
        return Err(io::Error::new(ErrorKind::InvalidData, text));
    }
    let mut body = vec![0; size];
    from.read_exact(&mut body).await?;
    Ok(Some(serde_json::from_slice(&body)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    #[tokio::test]
    async fn what_is_written_is_read() {
        let messages = [json!({"type": "ping"}), json!({"text": "grüße"})];
        let bytes: Vec<u8> = messages.iter().flat_map(|it| encode(it).unwrap()).collect();

        let mut from = bytes.as_slice();
        let mut read_back: Vec<Value> = Vec::new();
        while let Some(message) = read(&mut from).await.unwrap() {
            read_back.push(message);
        }

        assert_eq!(read_back, messages);
    }

    #[tokio::test]
    async fn a_length_that_cannot_be_is_refused_before_anything_is_read() {
        let mut from = [0xff, 0xff, 0xff, 0xff, b'{'].as_slice();
        let error = read::<Value>(&mut from).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidData);
    }

    #[tokio::test]
    async fn who_goes_without_having_read_everything_is_at_the_end() {
        let (mut here, there) = tokio::net::UnixStream::pair().unwrap();
        tokio::io::AsyncWriteExt::write_all(&mut here, b"unread").await.unwrap();
        drop(there);

        assert_eq!(read::<Value>(&mut here).await.unwrap(), None);
    }

    #[tokio::test]
    async fn a_stream_that_ends_within_a_message_is_an_error() {
        let mut from = [0, 0, 0, 9, b'{'].as_slice();
        assert!(read::<Value>(&mut from).await.is_err());
    }
}
